"""The commands about revisions at work: what they refuse, and how they tell of progress."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from services.checks import Level, check_shop
from services.errors import ConfigurationError, ShopError
from services.postgres import check_migrated, create_engine, reading
from services.revisions import store
from services.revisions.store import Active
from services.settings import PostgresSettings, Settings
from stage_engine import revising
from stage_engine.forward import count_behind
from stage_engine.in_force import InForce
from stage_engine.plan_screen import plan_screen, plan_view
from stage_engine.planning import make_plan
from stage_engine.revising import Applied, Draft

WIDTH = 100
EXIT_TOO_MANY = 3
"""A plan moves more customers than its caller allows."""

Main = Callable[["RevisionSettings"], Coroutine[Any, Any, None]]


class RevisionSettings(Settings):
    postgres: PostgresSettings
    shop: Path = Field(default=Path("shop"), description="the directory, where the command names none")


def sound(directory: Path) -> Draft:
    """Raises ShopError with every fault that `stagepost check` finds."""
    faults = check_shop(directory).of(Level.FAULT)
    if faults:
        raise ShopError("\n".join(str(fault) for fault in faults))
    return Draft.of(directory)


def applying(named: Path | None, *, note: str, expect: int | None, first_only: bool) -> Main:
    async def work(engine: AsyncEngine, settings: RevisionSettings) -> None:
        directory = named or settings.shop
        if first_only and (active := await _active(engine)):
            typer.echo(f"revision {active.number} is in force already; nothing was looked at")
            return
        draft = sound(directory)
        applied = await revising.apply(engine, draft, note=note, expect=expect, first_only=first_only)
        _tell(applied, str(directory))
        await _bring(engine, applied)

    return _with_engine(work)


def planning(named: Path | None, *, as_json: bool, max_moved: str | None) -> Main:
    async def work(engine: AsyncEngine, settings: RevisionSettings) -> None:
        directory = named or settings.shop
        draft = sound(directory)
        with _progress("Folding histories twice") as tell:
            plan = await make_plan(engine, draft, directory, tell)
        if as_json:
            typer.echo(json.dumps(plan_view(plan), indent=2, ensure_ascii=False))
        else:
            console = Console(highlight=False)
            console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
            console.print(plan_screen(plan, str(directory)))
        if max_moved is not None and len(plan.tally.moved) > threshold(max_moved, plan.tally.customers):
            typer.echo(f"{len(plan.tally.moved)} customers would move; --max-moved {max_moved} allows fewer", err=True)
            raise typer.Exit(EXIT_TOO_MANY)

    return _with_engine(work)


def threshold(said: str, customers: int) -> float:
    """`5%` of them, or a number. Raises ConfigurationError for what is neither."""
    number = said.removesuffix("%").strip()
    try:
        most = float(number)
    except ValueError:
        raise ConfigurationError(f"--max-moved takes a number or a share, as in 100 or 5%; not `{said}`") from None
    return customers * most / 100 if said.endswith("%") else most


def rolling_back(number: int | None) -> Main:
    async def work(engine: AsyncEngine, _: RevisionSettings) -> None:
        applied = await revising.roll_back(engine, number)
        _tell(applied, "it")
        await _bring(engine, applied)

    return _with_engine(work)


def listing(*, as_json: bool) -> Main:
    async def work(engine: AsyncEngine, _: RevisionSettings) -> None:
        async with reading(engine) as connection:
            active = await store.active(connection)
            found = await store.listed(connection)
            behind = await count_behind(connection, await InForce(engine, tells=False).look()) if active else 0
        if as_json:
            listed = [
                {
                    "number": one.number,
                    "made_at": one.made_at.isoformat(),
                    "note": one.note,
                    "follows": one.follows,
                    "fold_version": one.fold_version,
                    "active": active is not None and one.number == active.number,
                }
                for one in found
            ]
            typer.echo(json.dumps({"revisions": listed, "customers_behind": behind}, indent=2, ensure_ascii=False))
            return
        for one in found:
            mark = "→" if active and one.number == active.number else " "
            typer.echo(f"{mark} {one.number:>4}  {one.made_at:%Y-%m-%d %H:%M}  {one.note}")
        if active is None:
            typer.echo("none is in force; run: stagepost apply DIR")
        else:
            typer.echo(
                f"revision {active.number} is in force since {active.since:%Y-%m-%d %H:%M:%S} UTC; {_left(behind)}"
            )

    return _with_engine(work)


async def _active(engine: AsyncEngine) -> Active | None:
    async with reading(engine) as connection:
        return await store.active(connection)


def _tell(applied: Applied, what: str) -> None:
    now = applied.now.number
    if applied.before == applied.now:
        typer.echo(f"revision {now} is in force already; {what} changes nothing")
    else:
        was = f", before it {applied.before.number}" if applied.before else ""
        typer.echo(f"revision {now} is in force{was}")


@contextmanager
def _progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """To be told how much is done, and of how much."""
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, visible=False)

        def tell(done: int, total: int) -> None:
            progress.update(task, total=total, completed=done, visible=total > 0)

        yield tell


async def _bring(engine: AsyncEngine, applied: Applied) -> None:
    most = 0
    with _progress("Bringing customers to it") as show:

        def tell(left: int) -> None:
            nonlocal most
            most = max(most, left)
            show(most - left, most)

        try:
            await revising.bring_everyone(engine, tell)
        except BaseException:
            typer.echo(
                f"revision {applied.now.number} is in force; engines that run bring the rest to it, or run this again"
            )
            raise
    typer.echo(_left(0))


def _left(behind: int) -> str:
    return f"{behind} customers are still to be brought to it" if behind else "every customer was folded by it"


def _with_engine(work: Callable[[AsyncEngine, RevisionSettings], Awaitable[None]]) -> Main:
    async def main(settings: RevisionSettings) -> None:
        engine = create_engine(settings.postgres, application="revisions")
        try:
            await check_migrated(engine)
            await work(engine, settings)
        finally:
            await engine.dispose()

    return main
