"""`stagepost plan`: what a directory says otherwise than what is in force, and who would stand elsewhere by it.

Every history is folded twice, by the rules in force and by the directory's, up to the same watermark. It reads without
locks and writes nothing.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.follow_up_starts import Start, follow_up_starts
from services.postgres import among, reading
from services.revisions import store as revisions
from services.revisions.files import Files, own, unpack
from services.shop import YamlFile, load_shop, plain
from stage_engine import baseline_store, event_store, store, tables
from stage_engine.comparing import Tally, moved
from stage_engine.folding import beginnings, folded_by
from stage_engine.model.differences import differences, file_differences, model_differences
from stage_engine.model.load import load_model
from stage_engine.revising import Draft
from stage_engine.rules import Rules
from stage_engine.state import EMPTY
from stage_engine.store import Customer

PAGE: Final = 500
"""Customers whose histories are read at once,"""
EVENTS_AT_ONCE: Final = 20_000
"""and about as many events: 40 MB at the most. One customer's are read whole."""

_C = tables.customers.c
Written = ("storefronts.yaml", "followups.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A shop directory: what is in force, or what would be."""

    draft: Draft
    rules: Rules
    storefronts: Mapping[str, object]
    follow_ups: Mapping[str, object]
    starts: Mapping[str, Start]

    @classmethod
    def of(cls, directory: Path, draft: Draft | None = None) -> "Side":
        """Raises ShopError."""
        storefronts, follow_ups = (plain(YamlFile(directory / name).data) or {} for name in Written)
        return cls(
            draft=draft or Draft.of(directory),
            rules=Rules(load_model(directory / "lifecycle.yaml"), load_shop(directory).storefronts),
            storefronts=storefronts,
            follow_ups=follow_ups,
            starts=follow_up_starts(directory),
        )

    @classmethod
    def of_files(cls, files: Files) -> "Side":
        with TemporaryDirectory(prefix="stagepost-shop-") as name:
            unpack(files, Path(name))
            return cls.of(Path(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`active` is the revision that it was made against; None where nothing is in force."""

    active: int | None
    until: datetime | None = None
    model: Sequence[str] = ()
    follow_ups: Sequence[str] = ()
    storefronts: Sequence[str] = ()
    files: Sequence[str] = ()
    new_follow_ups: Sequence[str] = ()
    tally: Tally = field(default_factory=Tally)

    @property
    def differs(self) -> bool:
        return bool(self.model or self.follow_ups or self.storefronts or self.files)


async def make_plan(engine: AsyncEngine, draft: Draft, directory: Path, tell: Callable[[int, int], None]) -> Plan:
    """`tell` is given how many customers were looked at, and of how many."""
    async with reading(engine) as connection:
        active = await revisions.active(connection)
        held = await revisions.revision(connection, active.number) if active else None
        until = await store.read_watermark(connection)
    after = Side.of(directory, draft)
    if held is None:
        return Plan(active=None, new_follow_ups=sorted(after.starts))
    before = Side.of_files(held.files)
    texts = {"storefronts.yaml", "lifecycle.yaml", "followups.yaml"}
    files, others = ({n: c for n, c in own(s.draft.files).items() if n not in texts} for s in (before, after))
    concerned = [name for name, said in before.draft.folding.items() if after.draft.folding.get(name, said) != said]
    tally = Tally()
    if concerned and until is not None:
        await _count(engine, (before, after), concerned, until, tally, tell)
    return Plan(
        active=held.number,
        until=until,
        model=model_differences(before.draft.model, after.draft.model),
        follow_ups=differences("follow-up", before.follow_ups, after.follow_ups),
        storefronts=differences("storefront", before.storefronts, after.storefronts),
        files=file_differences(files, others),
        new_follow_ups=sorted(after.starts.keys() - before.starts.keys()),
        tally=tally,
    )


async def _count(
    engine: AsyncEngine,
    sides: tuple[Side, Side],
    storefronts: Sequence[str],
    until: datetime,
    tally: Tally,
    tell: Callable[[int, int], None],
) -> None:
    async with reading(engine) as connection:
        everyone = sa.select(sa.func.count()).where(among(_C.storefront, storefronts), _C.state.is_not(None))
        total = int(await connection.scalar(everyone) or 0)
    after: UUID | None = None
    while True:
        async with reading(engine) as connection:
            page = await _page(connection, storefronts, after)
            async for customers in _batches(connection, page):
                await _compare(connection, customers, sides, until, tally)
                tell(tally.customers, total)
        if not page:
            return
        after = page[-1]


async def _page(connection: AsyncConnection, storefronts: Sequence[str], after: UUID | None) -> Sequence[UUID]:
    wanted = sa.select(_C.id).where(among(_C.storefront, storefronts), _C.state.is_not(None))
    wanted = wanted if after is None else wanted.where(_C.id > after)
    return (await connection.scalars(wanted.order_by(_C.id).limit(PAGE))).all()


async def _batches(connection: AsyncConnection, page: Sequence[UUID]) -> AsyncIterator[list[Customer]]:
    counts = await event_store.counts(connection, dict.fromkeys(page))
    rows = await store.customers(connection, page)
    batch: list[Customer] = []
    events = 0
    for id_ in page:
        if batch and events + counts.get(id_, 0) > EVENTS_AT_ONCE:
            yield batch
            batch, events = [], 0
        batch.append(rows[id_])
        events += counts.get(id_, 0)
    if batch:
        yield batch


async def _compare(
    connection: AsyncConnection,
    customers: Sequence[Customer],
    sides: tuple[Side, Side],
    until: datetime,
    tally: Tally,
) -> None:
    ids: dict[UUID, None] = dict.fromkeys(customer.id for customer in customers)
    histories = await event_store.histories(connection, ids)
    pasts = await baseline_store.baselines_after(connection, ids)
    starts = await beginnings(connection, list(ids), {})
    for customer in customers:
        entries, past = histories.get(customer.id, ()), pasts.get(customer.id, ())
        start = starts.get(customer.id, EMPTY)
        was, would = (folded_by(customer, start, entries, side.rules, until, {}, past) for side in sides)
        if was is None or would is None:
            tally.unfolded += 1
        else:
            tally.add(customer.id, moved(was, would), sides[1].starts)
