"""A process that goes by the active revision: it loads another as soon as it is in force, and says when it can't.

What can't be read is not tried again until something else is in force: only another revision, or another version of
this program, can mend it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import NoShop, ShopError
from services.postgres import UNAVAILABLE, reading
from services.revisions import store
from services.revisions.files import unpack
from services.revisions.metrics import REVISION, UNREADABLE
from services.revisions.store import Active, Revision

log = structlog.get_logger()

T = TypeVar("T")
Load = Callable[[Path, Revision, Active], T]
"""From the directory, which is gone afterwards; in a thread of its own. Raises ShopError."""

NONE_ACTIVE = "no revision of the shop is in force yet; run: stagepost apply DIR"


class Following(Generic[T]):
    """`look` asks what is in force; `now` is what was loaded last. Both raise NoShop where that is nothing."""

    def __init__(
        self,
        engine: AsyncEngine,
        load: Load[T],
        *,
        finish: Callable[[T], Awaitable[T]] | None = None,
        fold_version: int | None = None,
        tells: bool = True,
    ) -> None:
        """`finish` is for what needs the database. `fold_version`: only revisions for this one; None: for any.

        `tells`: logs what it goes by, as services do and commands don't.
        """
        self._engine = engine
        self._load = load
        self._finish = finish
        self._fold_version = fold_version
        self._tells = tells
        self._active: Active | None = None
        self._held: T | None = None
        self._why: str | None = NONE_ACTIVE
        self._told: str | None = None
        self._loading = asyncio.Lock()

    def now(self) -> T:
        if self._held is None:
            raise NoShop(self._why or NONE_ACTIVE)
        return self._held

    async def look(self) -> T:
        async with reading(self._engine) as connection:
            active = await store.active(connection)
        return self.held(active) or await self.load(active)

    def held(self, active: Active | None) -> T | None:
        """What is loaded of this one; None when it must be loaded first, NoShop when that can't be."""
        if active is None:
            self._say(None, None, NONE_ACTIVE)
        if active != self._active:
            return None
        return self.now()

    async def load(self, active: Active | None) -> T:
        async with self._loading:
            if active is None or active == self._active:
                return self.now()
            async with reading(self._engine) as connection:
                revision = await store.revision(connection, active.number)
            if revision is None:  # the foreign key holds it
                raise NoShop(f"revision {active.number} is in force and does not exist")
            if self._fold_version not in (None, revision.fold_version):
                self._say(
                    active,
                    None,
                    f"revision {active.number} is for version {revision.fold_version} of the fold, and this is version"
                    f" {self._fold_version}; run `stagepost apply` or `stagepost rollback` of the version to run",
                )
                return self.now()
            try:
                loaded = await asyncio.to_thread(self._unpacked, revision, active)
                loaded = loaded if self._finish is None else await self._finish(loaded)
            except ShopError as error:
                self._say(active, None, f"revision {active.number} can't be read by this version: {error}")
            except UNAVAILABLE:
                raise
            except Exception as error:  # a bug: others may read it, and starting again would not help
                log.exception("a revision can't be read")
                self._say(active, None, f"revision {active.number} can't be read by this version: {error!r}")
            else:
                self._say(active, loaded, None)
            return self.now()

    def _unpacked(self, revision: Revision, active: Active) -> T:
        with TemporaryDirectory(prefix="stagepost-shop-") as name:
            directory = Path(name) / "shop"
            directory.mkdir()
            try:
                unpack(revision.files, directory)
                return self._load(directory, revision, active)
            except ShopError as error:
                raise ShopError(str(error).replace(f"{directory}/", "")) from None

    def _say(self, active: Active | None, held: T | None, why: str | None) -> None:
        self._active, self._held, self._why = active, held, why
        REVISION.set(active.number if active and held is not None else 0)
        UNREADABLE.set(why is not None)
        if why is not None and why != self._told and self._tells:
            log.error("no work is taken", why=why)
        elif why is None and active and self._tells:
            log.info("goes by this revision of the shop", revision=active.number)
        self._told = why
