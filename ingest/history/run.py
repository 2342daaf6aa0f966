"""The import at work: batches of rows to the broker, and after each acknowledgement the place to go on from.

read and shape a batch ──▶ send, in order, until it is acknowledged ──▶ write the resume point
      └── meanwhile the next ─┘
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol

from ingest.history.load import MappingFile
from ingest.history.resume import ResumePoint
from ingest.history.rows import FileFault, HistoryFile, name_of
from ingest.history.shaping import Fault, Made, Shaped, Shaper, Telling
from ingest.history.show import Show
from ingest.history.tally import SHOWN, Tally
from services.contracts.storefront import Storefront
from services.errors import ConfigurationError
from services.kafka import Record, SendFailed, SendUnknown

BATCH: Final = 1_000
"""Events that are acknowledged together, and what a kill may have sent again."""
ACK_DEADLINE: Final = timedelta(seconds=10)
PAUSES: Final = (1, 2, 4, 8)
"""Seconds between tries while the broker is away; the last one goes on."""

OnFault = Literal["stop", "skip"]


class Sends(Protocol):
    """services.kafka.Sender, or what a dry run has in its place."""

    async def send(self, records: Sequence[Record], *, deadline: timedelta) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be imported. `began` marks every event: what is said to have happened later is at fault."""

    files: Sequence[Path]
    mapping: MappingFile
    storefront: str
    declared: Storefront
    state: Path
    id_prefix: str
    on_fault: OnFault
    from_start: bool
    dry_run: bool
    began: datetime


class Stopped(ConfigurationError):
    """At a row that a person must look at."""


class Interrupted(Exception):
    """Somebody asked it to end."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`next_row` is where to begin again once the records are acknowledged; `end` says what came after them."""

    records: tuple[Record, ...]
    next_row: int
    place: int
    faults: tuple[Fault, ...]
    end: Literal["more", "done"] | Fault | FileFault


class _File:
    """One file under way: its rows shaped into batches."""

    def __init__(self, file: HistoryFile, shaper: Shaper, *, first_row: int, on_fault: OnFault) -> None:
        self._file = file
        self._rows = file.rows()
        self._shaper = shaper
        self._first_row = first_row
        self._on_fault = on_fault
        self.tally = Tally()
        shaper.resume_at = first_row

    def next_batch(self, now: datetime) -> Batch:
        """Reads on; what is made of it was received `now`."""
        self._shaper.received_at = now
        records: list[Record] = []
        faults: list[Fault] = []
        next_row = self._shaper.resume_at
        try:
            for row in self._rows:
                if row.number < self._first_row:
                    continue
                self.tally.rows += 1
                fault = self._count(self._shaper.take(row), records, faults)
                if fault is not None:
                    return self._batch(records, faults, next_row, fault)
                next_row = self._shaper.resume_at
                if len(records) >= BATCH:
                    return self._batch(records, faults, next_row, "more")
            fault = self._count(self._shaper.end(), records, faults)
        except FileFault as error:
            return self._batch(records, faults, next_row, error)
        return self._batch(records, faults, self._shaper.resume_at if fault is None else next_row, fault or "done")

    def _count(self, outcomes: Iterable[Shaped], records: list[Record], faults: list[Fault]) -> Fault | None:
        """The fault to stop at, if there is one."""
        for shaped in outcomes:
            self.tally.count(shaped)
            if isinstance(shaped, Made):
                records.append(shaped.record)
            elif isinstance(shaped, Fault):
                if self._on_fault == "stop":
                    return shaped
                faults.append(shaped)
        return None

    def _batch(
        self,
        records: list[Record],
        faults: list[Fault],
        next_row: int,
        end: Literal["more", "done"] | Fault | FileFault,
    ) -> Batch:
        return Batch(tuple(records), next_row, self._file.place, tuple(faults), end)


class Import:
    def __init__(
        self, order: Order, sender: Sends, show: Show, clock: Callable[[], datetime], stopping: asyncio.Event
    ) -> None:
        self._order = order
        self._sender = sender
        self._show = show
        self._clock = clock
        self._stopping = stopping
        self._failing = False
        self._told = 0

    async def run(self) -> None:
        """All files, one after another. Raises Stopped, Interrupted, or ConfigurationError for what can't be begun."""
        names = [name_of(path) for path in self._order.files]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"two files are called {name}, and ids are made of that; rename one")
        for path in self._order.files:
            await self._import(path)

    async def _import(self, path: Path) -> None:
        order, name = self._order, name_of(path)
        file = HistoryFile(path, order.mapping.format)
        try:
            point = ResumePoint(
                order.state,
                path,
                name=name,
                storefront=order.storefront,
                mapping=order.mapping.fingerprint,
                id_prefix=order.id_prefix,
            )
            stood = None if order.from_start or order.dry_run else point.read()
            first_row = stood.next_row if stood else 1
            if first_row > 1:
                self._show.say(f"{name}: going on at row {first_row:,}, as {point.path} says")
            telling = Telling(
                storefront=order.storefront,
                declared=order.declared,
                file=name,
                id_prefix=order.id_prefix,
                began=order.began,
            )
            shaper = Shaper(order.mapping.compiled(file.columns), telling)
            under_way = _File(file, shaper, first_row=first_row, on_fault=order.on_fault)
            with self._show.file(name, file.size):
                await self._all_batches(under_way, None if order.dry_run else point, path)
        finally:
            file.close()
        self._say_all(name, under_way.tally)

    async def _all_batches(self, file: _File, point: ResumePoint | None, path: Path) -> None:
        batch = await asyncio.to_thread(file.next_batch, self._clock())
        while True:
            more = batch.end == "more"
            reading = asyncio.create_task(asyncio.to_thread(file.next_batch, self._clock())) if more else None
            try:
                await self._send(batch.records, path)
                self._tell(batch.faults, path)
                if point is not None:
                    point.write(next_row=batch.next_row, done=batch.end == "done")
                self._show.reached(batch.place, file.tally.rows, file.tally.events)
            finally:
                if reading is not None:
                    await asyncio.wait({reading})  # it works on what is ours
            if reading is None:
                break
            batch = reading.result()
        if isinstance(batch.end, Fault | FileFault):
            what = batch.end if isinstance(batch.end, FileFault) else f"{path}:{batch.end.line} {batch.end.why}"
            raise Stopped(f"{what}\n{self._stands(batch.next_row, point)}")

    def _stands(self, next_row: int, point: ResumePoint | None) -> str:
        if point is None:
            return "Nothing was sent: this was a dry run."
        done = f"What lies before row {next_row:,} is imported" if next_row > 1 else "Nothing of it is imported yet"
        return f"{done}; once that is mended, the same command goes on there. --on-error skip leaves such rows out."

    async def _send(self, records: Sequence[Record], path: Path) -> None:
        """Until it is acknowledged: a batch begins after the one before is known to be there, so order is kept."""
        tries = 0
        while records:
            if self._stopping.is_set():
                raise Interrupted(path.name)
            try:
                await self._sender.send(records, deadline=ACK_DEADLINE)
            except (SendFailed, SendUnknown) as error:
                if not self._failing:
                    self._failing = True
                    self._show.say(f"Kafka does not acknowledge ({error}); trying again until it does, Ctrl-C ends it")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
            else:
                if self._failing:
                    self._failing = False
                    self._show.say("Kafka acknowledges again")
                return
        if self._stopping.is_set():
            raise Interrupted(path.name)

    def _tell(self, faults: Sequence[Fault], path: Path) -> None:
        for fault in faults:
            self._told += 1
            if self._told <= SHOWN:
                self._show.say(f"{path}:{fault.line} {fault.why}")
            elif self._told == SHOWN + 1:
                self._show.say("… further rows at fault are only counted")

    def _say_all(self, name: str, tally: Tally) -> None:
        first, *others = tally.lines()
        self._show.say(f"{name}: {first}{', none of them sent: a dry run' if self._order.dry_run else ''}")
        for line in others:
            self._show.say(line)
