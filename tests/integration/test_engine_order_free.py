"""The promise, in the database: whatever the order and the batches, what stands is one pure fold of what was said."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from engine_world import START, Standing, World, scratch_database
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace
from notifier_reading import held_after
from reference import customers_by_identity, folded, histories
from sqlalchemy.ext.asyncio import AsyncEngine
from subscriber import Subscriber, unnumbered

from services.contracts.changes import CustomerTable, Profile
from stage_engine import apply
from stage_engine.arrivals import Arrival
from stage_engine.state import EMPTY
from tests.unit.stage_engine.builders import said
from tests.unit.stage_engine.test_properties import LINES, MODELS, NAMES

SECONDS = (0, 0, 1, 2, 1_799, 1_800, 1_801, 3_599, 3_600, 3_601, 5_400, 7_200, 86_400, 7_776_000)
EVERYTHING = START + timedelta(days=2_000)
USERS, ADDRESSES, DEVICES, CARTS = ("u1", "u2", "u3"), ("a@b.c", "d@e.f"), ("a1", "a2"), ("t1",)


@st.composite
def people(draw: st.DrawFn) -> dict[str, str]:
    """Mostly few identities at once, so that they get linked in every way."""
    values = {
        "user_id": draw(st.sampled_from((None, None, *USERS))),
        "email": draw(st.sampled_from((None, None, *ADDRESSES))),
        "anonymous_id": draw(st.sampled_from((None, *DEVICES))),
        "cart_token": draw(st.sampled_from((None, None, *CARTS))),
    }
    return {kind: value for kind, value in values.items() if value is not None}


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    second = draw(st.sampled_from(SECONDS))
    name = draw(st.sampled_from((*NAMES, "Identity Aliased", "Identity Aliased", "Customer Identified")))
    who = draw(people())
    properties: dict[str, Any] = {
        "cart_id": draw(st.sampled_from((None, "c1"))),
        "order_id": draw(st.sampled_from(("o1", "o2", None))),
        "checkout_id": draw(st.sampled_from((None, None, "x1"))),
        "product_id": draw(st.sampled_from(("p1", "p2"))),
        "revenue": draw(st.sampled_from((None, 0.1, "19.99"))),
        "currency": draw(st.sampled_from((None, "EUR", "USD"))),
        "products": draw(st.sampled_from(LINES)),
        "previous_id": draw(st.sampled_from((*USERS, *DEVICES))) if name == "Identity Aliased" else None,
        "kind": "nps",
        "score": 9,
    }
    return said(
        name,
        START + timedelta(seconds=second),
        id=f"e{draw(st.integers(0, 25))}",
        who=who,
        by=draw(st.sampled_from(("server", "server", "browser"))),
        received=f"{second + draw(st.sampled_from((0, 0, 60)))}s",
        imported=draw(st.sampled_from((None, None, f"{second}s"))),
        traits=draw(st.sampled_from(({}, {"tier": "gold"}))),
        **{key: value for key, value in properties.items() if value is not None},
    )


Step = tuple[Sequence[Arrival], datetime | None]


@st.composite
def courses(draw: st.DrawFn) -> list[Step]:
    """A history in batches, mostly in order; between some of them the watermark rises."""
    history = sorted(draw(st.lists(arrivals(), min_size=1, max_size=22)), key=lambda a: a.entry.position)
    for late in draw(st.lists(st.integers(0, len(history) - 1), max_size=4)):
        history.append(history.pop(late))
    history += draw(st.lists(st.sampled_from(history), max_size=2))
    cuts = sorted(draw(st.lists(st.integers(0, len(history)), max_size=6)))
    batches = [history[start:end] for start, end in pairwise([0, *cuts, len(history)])]
    rises = sorted(draw(st.lists(st.sampled_from(SECONDS), min_size=len(batches), max_size=len(batches))))
    knows = [draw(st.booleans()) for _ in batches]
    return [
        (batch, START + timedelta(seconds=rise) if know else None)
        for batch, rise, know in zip(batches, rises, knows, strict=True)
    ]


@pytest.fixture(scope="module")
async def database(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


async def equals_the_reference(world: World, stands: Standing, until: datetime) -> None:
    customers = customers_by_identity(world.said, world.storefront, world.namespace)
    assert stands.identities == customers
    shop = world.rules.storefronts[world.storefront]
    expected = folded(histories(world.said, customers), world.rules.model, until, shop)
    for id_, row in stands.customers.items():
        fold = expected.get(id_)
        assert row.state == (fold.state if fold else EMPTY)
        assert row.next_wake == (fold.next_wake if fold else None)
        assert row.waits_from == (fold.waits_from if fold else None)
        assert row.broken is None
        assert stands.orders.get(id_, {}) == ({order.key: order for _, order in fold.orders} if fold else {})
        assert stands.instances.get(id_, {}) == {
            i.id: (i.track, i.shown_key, i.stage, i.since) for i in (fold.state.instances if fold else ())
        }
        assert stands.transitions.get(id_, []) == [m.transition for m in (fold.moves if fold else ())]
    assert expected.keys() <= stands.customers.keys()


def equals_the_replay(stands: Standing) -> None:
    """A subscriber that read everything from the beginning holds the engine's own table."""
    subscriber = Subscriber()
    subscriber.read(stands.outbox)
    for id_, row in stands.customers.items():
        if row.sequence == 0:
            assert id_ not in subscriber.customers
            continue
        held = subscriber.customers[id_]
        assert held.sequence == row.sequence
        announced = replace(row.state.profile, root=row.root_said)
        assert held.profile == announced or held.profile == row.state.profile == Profile()
        assert held.hold == row.hold
        standing = unnumbered(stands.instances.get(id_, {}))
        let_go = held.instances.keys() - standing.keys()
        assert {i: row for i, row in held.instances.items() if i not in let_go} == standing
        moves = {t.id: t for t in stands.transitions.get(id_, [])}
        # What the engine lets go of, long after its end, is announced to nobody: its moves still hold.
        assert let_go <= {t.instance for t in moves.values()}
        shown = {t.id for t in moves.values() if t.instance in held.instances}
        assert shown <= held.moves.keys() <= moves.keys()


def the_notifier_holds_it(stands: Standing, rng: Random) -> None:
    """Whatever partition it reads first."""
    held = held_after(stands.outbox, rng)
    standing = {
        instance: (customer, row[0], row[2], row[3])
        for customer, rows in stands.instances.items()
        for instance, row in rows.items()
    }
    found = {i: (row.customer_id, row.track, row.stage, row.since) for i, row in held.items() if row.stage is not None}
    let_go = {t.instance for moves in stands.transitions.values() for t in moves} - standing.keys()
    assert {i: row for i, row in found.items() if i not in let_go} == standing


def told(course: list[Step]) -> str:
    """For a person who looks at what failed."""
    lines = []
    for batch, until in course:
        for a in batch:
            e = a.entry.event
            at, received = ((time - START).total_seconds() for time in (e.occurred_at, e.received_at))
            lines.append(f"{e.id} {e.name} {to_builtins(e.who)} {at:g} +{received - at:g} {e.said_by} {e.properties}")
        lines.append(f"-- known until {until and (until - START).total_seconds()}")
    return "\n".join(lines)


@settings(max_examples=int(os.environ.get("EXAMPLES", "50")), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    course=courses(),
    name=st.sampled_from(sorted(MODELS)),
    large=st.sampled_from((apply.LARGE, 2)),
    seed=st.integers(0, 2**32),
)
async def test_what_stands_is_one_pure_fold_of_what_was_said(
    database: AsyncEngine, course: list[Step], name: str, large: int, seed: int
) -> None:
    note(told(course))
    world = await World.opened(database, MODELS[name])
    with patch.object(apply, "LARGE", large):  # a few events are then enough for the background refolder
        for batch, until in course:
            await world.take(*(world.here(a) for a in batch))
            equals_the_replay(await world.stands())
            if until is not None:
                await world.know(until)
                await equals_the_reference(world, await world.stands(), until)
        await world.know(EVERYTHING)
    stands = await world.stands()
    await equals_the_reference(world, stands, EVERYTHING)
    equals_the_replay(stands)
    for number in range(5):
        the_notifier_holds_it(stands, Random(f"{seed} {number}"))  # noqa: S311  it is to be drawn again
    tables = sum(isinstance(change, CustomerTable) for change in stands.outbox)
    event(f"tables of joins and splits: {min(tables, 4)}")
