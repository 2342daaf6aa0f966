"""docs/asyncapi.yaml says what is published: it is what the contracts come to, and real records are as it says."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from services.contracts.changes import (
    ChangeType,
    CustomerStanding,
    KnownUntil,
    Profile,
    cloudevent_headers,
    encode_change,
)
from stage_engine.asyncapi import as_yaml, document
from stage_engine.changes import Effect, Moved, Stream, announcements, table
from stage_engine.state import EMPTY
from tests.unit.stage_engine.builders import added, ordered, see

COMMITTED = Path(__file__).parents[3] / "docs" / "asyncapi.yaml"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DOCUMENT = document()


def real_changes() -> Iterator[tuple[str, bytes]]:
    """As the engine makes them: a visitor who fills a cart and buys, then a join, a retraction and a hold."""
    seen = see(added("0s", who={"user_id": "u1", "email": "a@b.c"}), ordered("1m"))
    stream = Stream(storefront="shop", customer_id=uuid4(), sequence=0)
    moved = Moved(type=ChangeType.CUSTOMER_JOINED, number=9, others=[uuid4()], part_of=None)
    for effect in (
        Effect(before=EMPTY.profile, after=seen.state, new=seen.moves, gone=[seen.moves[0].transition]),
        Effect(before=EMPTY.profile, after=seen.state, new=(), moved=moved, moves=seen.moves),
        Effect(before=EMPTY.profile, after=EMPTY, new=(), hold="broken", hold_changed=True),
    ):
        yield from ((str(kind), encode_change(change)) for kind, change in announcements(stream, effect))
    yield "known.until", encode_change(KnownUntil(known_until=NOON))
    standing = CustomerStanding(
        storefront="shop",
        customer_id=UUID(int=1),
        sequence=7,
        part_of=None,
        profile=Profile(),
        hold=None,
        table=table(seen.state, ()),
    )
    yield "customer.standing", encode_change(standing)


def validator(part: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**part, "components": DOCUMENT["components"]})


def message(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in DOCUMENT["components"]["messages"].values() if m["name"] == kind)
    return found


def references(value: Any) -> Iterator[str]:  # noqa: ANN401  any JSON
    if isinstance(value, dict):
        yield from (inner for key, inner in value.items() if key == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_what_is_committed_is_what_the_contracts_come_to() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == as_yaml(), "run: stagepost asyncapi > docs/asyncapi.yaml"


def test_it_is_asyncapi_3() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library about its own models
        from asyncapi3 import AsyncAPI3  # noqa: PLC0415

        AsyncAPI3.model_validate(YAML(typ="safe").load(COMMITTED.read_text(encoding="utf-8")))
        with pytest.raises(ValueError, match="action"):
            AsyncAPI3.model_validate(
                {**DOCUMENT, "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/stages"}}}}
            )


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 20
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_every_type_of_change_is_there() -> None:
    said = {m["name"] for m in DOCUMENT["components"]["messages"].values()}
    assert said == {*map(str, ChangeType), "customer.standing"}
    assert {kind for kind, _ in real_changes()} >= said - {"customer.split"}


@pytest.mark.parametrize(("kind", "value"), list(real_changes()))
def test_real_changes_are_as_it_says(kind: str, value: bytes) -> None:
    said = msgspec.json.decode(value)
    check = validator(message(kind)["payload"])
    check.validate(said)
    assert not check.is_valid({name: inner for name, inner in said.items() if name not in ("sequence", "known_until")})


@pytest.mark.parametrize("kind", [str(kind) for kind in ChangeType])
def test_real_headers_are_as_it_says(kind: str) -> None:
    subject = None if kind == ChangeType.KNOWN_UNTIL else "s"
    made = cloudevent_headers(kind, event_id="i", storefront="shop", subject=subject, time=NOON)
    headers = {name: value.decode() for name, value in made}
    check = validator(message(kind)["headers"])
    check.validate(headers)
    assert not check.is_valid({**headers, "ce_streamepoch": "x"})
