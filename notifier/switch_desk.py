"""`stagepost pause`, `resume` and `switches` at work: in Postgres itself, should no notifier answer."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import switch_store
from notifier.switches import Scope, Switch
from notifier.switching import Named, known_or_refused, named_in
from services.errors import NoShop, NotFound
from services.postgres import check_migrated, create_engine, reading, transaction
from services.revisions.following import Following
from services.settings import PostgresSettings, Settings

Target = tuple[Scope, str]
Main = Callable[["SwitchSettings"], Coroutine[Any, Any, None]]


class SwitchSettings(Settings):
    postgres: PostgresSettings


def pausing(target: Target, *, why: str, by: str, until: datetime | None) -> Main:
    async def work(engine: AsyncEngine, now: datetime) -> None:
        known_or_refused(*target, await _named(engine))
        scope, name = target
        asked = Switch(scope=scope, name=name, by=by, why=why, since=now, until=until)
        async with transaction(engine) as connection:
            on = await switch_store.pause(connection, asked, now)
        if on.since == now:
            typer.echo(f"Paused: {on}. Within seconds nothing of it goes out; what is due waits.")
        else:
            typer.echo(f"Paused already: {on}, by {on.by}: {on.why}")

    return _with_engine(work)


def resuming(target: Target, *, by: str) -> Main:
    async def work(engine: AsyncEngine, now: datetime) -> None:
        async with transaction(engine) as connection:
            if not await switch_store.resume(connection, *target, by, now):
                raise NotFound("that is not paused; `stagepost switches` lists what is")
            left = await switch_store.load(connection, now)
        typer.echo("Resumed: what waited and is still worth sending is decided again now.")
        if left.on:
            typer.echo(f"Still paused: {', '.join(map(str, left.on))}.")

    return _with_engine(work)


def listing() -> Main:
    async def work(engine: AsyncEngine, now: datetime) -> None:
        async with reading(engine) as connection:
            on = (await switch_store.load(connection, now)).on
        Console(highlight=False).print(_table(on) if on else "Nothing is paused.")

    return _with_engine(work)


def _table(on: Sequence[Switch]) -> Table:
    table = Table("paused", "since (UTC)", "until", "by", "why", box=None, pad_edge=False, header_style="dim")
    for one in on:
        until = "" if one.until is None else f"{one.until:%Y-%m-%d %H:%M}"
        table.add_row(*map(Text, (str(one), f"{one.since:%Y-%m-%d %H:%M}", until, one.by, one.why)))
    return table


async def _named(engine: AsyncEngine) -> Named | None:
    """None where no revision can be read: then least of all may a slip keep somebody from pausing."""
    try:
        return await Following(engine, named_in, tells=False).look()
    except NoShop:
        return None


def _with_engine(work: Callable[[AsyncEngine, datetime], Awaitable[None]]) -> Main:
    async def main(settings: SwitchSettings) -> None:
        engine = create_engine(settings.postgres, application="switches")
        try:
            await check_migrated(engine)
            await work(engine, datetime.now(UTC))
        finally:
            await engine.dispose()

    return main
