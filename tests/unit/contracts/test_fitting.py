"""What is published fits into a record, whatever was said."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from services.contracts.changes import (
    Address,
    Cause,
    CustomerStanding,
    CustomerTable,
    CustomerUpdated,
    InstanceRow,
    Profile,
    StageChanged,
    StageRetracted,
    Subject,
    Transition,
)
from services.contracts.events import SaidBy
from services.contracts.fitting import MAX_VALUE_BYTES, Told, fitted
from services.contracts.topics import MAX_RECORD_BYTES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HUGE = "ü" * 700_000
MUCH = "ü" * 3_000
WHO: dict[str, Any] = {"storefront": "shop", "customer_id": UUID(int=1), "sequence": 7}
PROFILE = Profile(
    traits={"notes": HUGE},
    claims={"about": HUGE},
    addresses={"email": Address(value="ann@example.com", said_by=SaidBy.SERVER)},
    consent={"email": False},
)


def move(*, facts: str = MUCH) -> Transition:
    return Transition(
        id=uuid4(),
        instance=UUID(int=2),
        track="cart",
        key="c1",
        from_stage=None,
        to_stage="active",
        at=NOON,
        rule="start",
        cause=Cause(identity=UUID(int=3), event_id="e1"),
        reason="because",
        facts={"comment": facts},
    )


def instance() -> InstanceRow:
    subject = Subject(items=[{"product_id": str(n), "name": MUCH} for n in range(100)], value="1.00", currency="EUR")
    moves = [move() for _ in range(20)]
    return InstanceRow(
        instance=uuid4(), track="cart", key="c" * 500, stage="active", since=NOON, subject=subject, moves=moves
    )


TABLE = [instance() for _ in range(200)]
LARGE: list[Told] = [
    StageChanged(**WHO, transition=move(facts=HUGE), stage="active", since=NOON, subject=TABLE[0].subject),
    StageRetracted(**WHO, transition=move(facts=HUGE), stage=None, since=None),
    CustomerUpdated(**WHO, profile=PROFILE),
    CustomerTable(**WHO, number=1, others=[uuid4()], part_of=None, profile=PROFILE, table=TABLE),
    CustomerStanding(**WHO, part_of=None, profile=PROFILE, hold=None, table=TABLE),
]


@pytest.mark.parametrize("change", LARGE, ids=lambda change: type(change).__name__)
def test_the_largest_change_fits_and_says_that_it_is_shortened(change: Told) -> None:
    _, value = fitted(change)
    assert len(value) <= MAX_VALUE_BYTES < MAX_RECORD_BYTES
    said = msgspec.json.decode(value, type=type(change))
    assert said.shortened
    assert (said.customer_id, said.sequence) == (change.customer_id, change.sequence)


def test_where_everything_stands_and_may_be_written_to_is_never_left_out() -> None:
    said, _ = fitted(CustomerTable(**WHO, number=1, others=[], part_of=None, profile=PROFILE, table=TABLE))
    assert [(row.instance, row.stage, row.since) for row in said.table] == [
        (row.instance, row.stage, row.since) for row in TABLE
    ]
    assert (said.profile.addresses, said.profile.consent) == (PROFILE.addresses, PROFILE.consent)
    assert all(
        len(row.moves) == 1 and row.moves[0].id == kept.moves[-1].id
        for row, kept in zip(said.table, TABLE, strict=True)
    )


def test_no_more_is_left_out_than_must_be() -> None:
    profile = Profile(traits={"first_name": "Ann"}, claims={"about": HUGE})
    said, _ = fitted(CustomerUpdated(**WHO, profile=profile))
    assert (said.profile.traits, said.profile.claims) == ({"first_name": "Ann"}, {})


def test_what_fits_stays_as_it_is() -> None:
    small = CustomerUpdated(**WHO, profile=Profile(traits={"first_name": "Ann"}))
    assert fitted(small)[0] == small
    assert not fitted(small)[0].shortened
