"""A plan says who would move, and that is who moves; counted here a second time, in plain Python."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from engine_world import START, scratch_database
from revised import FOLLOW_UPS, STOREFRONTS, Shop, at_risk_after, written
from sqlalchemy.ext.asyncio import AsyncEngine

from services.contracts.identity import Identity, IdentityKind
from stage_engine import planning
from stage_engine.identity import customer_id
from stage_engine.plan_screen import plan_view
from stage_engine.planning import Plan, make_plan
from stage_engine.revising import Draft

DAY = 86_400
NOW = 200
"""Days after START."""
WIN_BACK = FOLLOW_UPS + FOLLOW_UPS.replace("abandoned-cart:", "win-back:").replace(
    "{track: cart, entered: abandoned}", "{track: lifecycle, entered: at_risk}"
).replace("until: {left: abandoned}", "until: {left: at_risk}")


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[AsyncEngine]:
    async with scratch_database(postgres) as engine:
        yield engine


@pytest.fixture
async def kept(empty: AsyncEngine, tmp_path: Path) -> Shop:
    return await Shop.opened(empty, tmp_path / "in-force", at_risk_after("90d"))


async def planned(kept: Shop, directory: Path) -> Plan:
    told: list[tuple[int, int]] = []
    plan = await make_plan(kept.engine, Draft.of(directory), directory, lambda *so_far: told.append(so_far))
    assert not told or told[-1] == (plan.tally.customers, plan.tally.customers)
    return plan


async def buyers(kept: Shop, count: int) -> dict[UUID, list[int]]:
    """Each with the days of their orders, told in any order."""
    chance = random.Random(7)  # noqa: S311  the same each time is what is wanted
    days = {f"u{n}": sorted(chance.sample(range(NOW), chance.randrange(1, 4))) for n in range(count)}
    orders = [
        kept.event("Order Completed", day * DAY, who={"user_id": who}, order_id=f"{who}-{day}", revenue=1, total=1)
        for who, theirs in days.items()
        for day in theirs
    ]
    chance.shuffle(orders)
    for start in range(0, len(orders), 50):
        await kept.take(*orders[start : start + 50])
    await kept.know(NOW * DAY)
    namespace = (await kept.in_force().look()).namespaces["shop"]
    return {customer_id(namespace, Identity(IdentityKind.USER_ID, who)): theirs for who, theirs in days.items()}


def stage(orders: list[int], after: int) -> str:
    """By the preset, in plain Python: silent for so many days at risk, churned after as many as the preset says."""
    silent = NOW - orders[-1]
    if silent >= after:
        return "churned" if silent >= after + 90 else "at_risk"
    return "purchase" if len(orders) == 1 else "retention"


async def test_a_plan_says_exactly_who_moves_and_apply_moves_them_and_nobody_else(
    kept: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "PAGE", 20)
    monkeypatch.setattr(planning, "EVENTS_AT_ONCE", 30)
    people = await buyers(kept, 90)
    directory = written(tmp_path / "changed", at_risk_after("60d"), follow_ups=WIN_BACK)
    plan = await planned(kept, directory)

    otherwise = {id_: (stage(o, 90), stage(o, 60)) for id_, o in people.items() if stage(o, 90) != stage(o, 60)}
    assert otherwise, "else it proves nothing"
    assert set(plan.tally.moved) == set(otherwise)
    assert plan.tally.customers == 90
    assert plan.tally.stages == Counter(("lifecycle", before, after) for before, after in otherwise.values())
    assert plan.tally.follow_ups["win-back"] == sum(after == "at_risk" for _, after in otherwise.values())
    assert plan.model[0].startswith("stage `lifecycle.at_risk`, rule 1: `after` 90d → 60d")
    assert plan.follow_ups == ["follow-up `win-back` is new"]

    before = await kept.stands()
    await kept.apply(at_risk_after("60d"), follow_ups=WIN_BACK)
    await kept.bring_everyone()
    after = await kept.stands()
    moved = {id_ for id_ in after.instances if _stages(before, id_) != _stages(after, id_)}
    assert moved == set(plan.tally.moved)
    await kept.is_as_fresh()


def _stages(stands: Any, customer: UUID) -> set[tuple[UUID, str]]:  # noqa: ANN401  a Standing
    return {(instance, row[2]) for instance, row in stands.instances[customer].items()}


async def test_a_plan_of_what_is_in_force_says_so_and_looks_at_nobody(kept: Shop) -> None:
    await buyers(kept, 3)
    plan = await planned(kept, kept.directory)
    assert not plan.differs
    assert (plan.active, plan.tally.customers) == (1, 0)


async def test_what_decides_no_stage_looks_at_nobody(kept: Shop, tmp_path: Path) -> None:
    await buyers(kept, 3)
    named = STOREFRONTS.replace("name: Shop\n", "name: Another\n", 1)
    plan = await planned(
        kept, written(tmp_path / "x", at_risk_after("90d"), storefronts=named, **{"templates/a.mjml": "x"})
    )
    assert plan.storefronts == ["storefront `shop`: `name` Shop → Another"]
    assert plan.files == ["templates/a.mjml is new"]
    assert plan.tally.customers == 0


async def test_nothing_is_written_by_a_plan(kept: Shop, tmp_path: Path) -> None:
    await buyers(kept, 5)
    before, said = await kept.stands(), len(await kept.announced())
    await planned(kept, written(tmp_path / "x", at_risk_after("5d")))
    assert (await kept.stands()).customers == before.customers
    assert len(await kept.announced()) == said
    rules = await kept.in_force().look()
    assert (rules.revision, rules.since > START - timedelta(days=1)) == (1, True)


async def test_a_first_directory_has_nothing_to_be_compared_with(empty: AsyncEngine, tmp_path: Path) -> None:
    directory = written(tmp_path / "x", at_risk_after("5d"))
    plan = await make_plan(empty, Draft.of(directory), directory, lambda *_: None)
    assert plan_view(plan)["active"] is None
