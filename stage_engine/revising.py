"""A shop's directory made a revision and put in force, and everyone brought to it; each can be begun again any time."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.errors import ConfigurationError
from services.postgres import reading, transaction
from services.revisions import store
from services.revisions.files import FROZEN, digest, packed, unpack
from services.revisions.store import Active
from services.shop import YamlFile, load_shop, plain
from stage_engine.fold import FOLD_VERSION
from stage_engine.forward import Forward, count_behind
from stage_engine.in_force import InForce
from stage_engine.model.source import Source, extended
from stage_engine.refolder import Refolder

DEADLINE: Final = timedelta(seconds=90)
"""For getting the lock of what is in force: longer than a process that was stopped can hold it."""
LOCK_NOT_AVAILABLE: Final = "55P03"
TELL_EVERY: Final = 1.0
"""Seconds: of a million customers, counting who is behind takes longer than bringing the next of them forward."""
REST: Final = 0.2
"""Seconds between two looks at customers whom others are bringing forward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A directory as it would be stored. `model` is as it is written, with what it extends under it."""

    files: dict[str, bytes]
    folding: dict[str, str]
    model: dict[str, Any]

    @classmethod
    def of(cls, directory: Path) -> "Draft":
        """Raises ShopError for what can't be read at all; faults are for `services.checks` to find."""
        files = packed(directory)
        lifecycle = YamlFile(directory / "lifecycle.yaml")
        for name, path in extended(lifecycle).items():
            files[f"{FROZEN}/{name}.yaml"] = path.read_bytes()
        source = Source(lifecycle)
        source.written()  # lays the preset under it
        model = plain(source.file.data)
        folding = {
            storefront: _fingerprint(FOLD_VERSION, model, said.currency, said.trust, said.timezone)
            for storefront, said in load_shop(directory).storefronts.items()
        }
        return cls(files=files, folding=folding, model=model)


def _fingerprint(*what: object) -> str:
    return sha256(json.dumps(what, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """`before` was in force; the same as `now` when there was nothing to change."""

    before: Active | None
    now: Active


Change = Callable[[AsyncConnection, Active | None], Awaitable[Active]]


async def apply(
    engine: AsyncEngine, draft: Draft, *, note: str = "", expect: int | None = None, first_only: bool = False
) -> Applied:
    """Puts the draft in force, unless it is already; with `first_only` unless anything is.

    Raises ConfigurationError when another revision than the expected one is in force.
    """

    async def change(connection: AsyncConnection, before: Active | None) -> Active:
        number = before.number if before else 0
        if expect not in (None, number):
            raise ConfigurationError(
                f"revision {number} is in force, not {expect}: somebody changed it meanwhile; plan again"
            )
        if before is not None and (first_only or await _is(connection, number, draft)):
            return before
        made = await store.make(connection, draft.files, note=note, fold_version=FOLD_VERSION, folding=draft.folding)
        return await store.activate(connection, made)

    return await _changed(engine, change)


async def roll_back(engine: AsyncEngine, number: int | None) -> Applied:
    """To this one, or to the one that was in force when the active one was made.

    One that was made for another version of the fold is made anew for this. Raises ConfigurationError.
    """
    async with reading(engine) as connection:
        before = await store.active(connection)
        if before is None:
            raise ConfigurationError("no revision is in force; there is nothing to go back from")
        held = await store.revision(connection, before.number)
        number = number if number is not None else held.follows if held else None
        if number is None:
            raise ConfigurationError(f"revision {before.number} is the first; nothing was in force before it")
        wanted = await store.revision(connection, number)
    if wanted is None:
        raise ConfigurationError(f"there is no revision {number}; `stagepost revisions` lists them")
    if wanted.fold_version != FOLD_VERSION:
        with TemporaryDirectory(prefix="stagepost-shop-") as name:
            unpack(wanted.files, Path(name))
            draft = Draft.of(Path(name))
        return await apply(engine, draft, note=f"as revision {number}", expect=before.number)

    async def change(connection: AsyncConnection, active: Active | None) -> Active:
        return active if active and active.number == number else await store.activate(connection, number)

    return await _changed(engine, change)


async def _is(connection: AsyncConnection, number: int, draft: Draft) -> bool:
    held = await store.revision(connection, number)
    return held is not None and (held.digest, held.fold_version) == (digest(draft.files), FOLD_VERSION)


async def _changed(engine: AsyncEngine, change: Change) -> Applied:
    """One transaction: it is in force, or nothing happened."""
    until = time.monotonic() + DEADLINE.total_seconds()
    while True:
        try:
            async with transaction(engine) as connection:
                before = await store.lock_active(connection)
                return Applied(before=before, now=await change(connection, before))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or time.monotonic() > until:
                raise
        await asyncio.sleep(REST)


async def bring_everyone(engine: AsyncEngine, tell: Callable[[int], None]) -> None:
    """Until nobody is behind what is in force; `tell` is given how many still are. Engines that run do it, too."""
    in_force = InForce(engine, tells=False)
    forward, refolder = Forward(in_force), Refolder(engine, in_force)
    counted = -TELL_EVERY
    while True:
        busy = await forward.step() or await refolder.step()
        if busy and time.monotonic() - counted < TELL_EVERY:
            continue
        counted = time.monotonic()
        rules = await in_force.look()
        async with reading(engine) as connection:
            left = await count_behind(connection, rules)
        tell(left)
        if not left:
            return
        if not busy:
            await asyncio.sleep(REST)
