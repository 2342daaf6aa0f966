"""The operator's commands at work: what they read, and how they say it."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from services.errors import Unreachable
from services.kafka import Sender, SendFailed, SendUnknown
from services.postgres import check_migrated, create_engine, transaction
from services.settings import KafkaSettings, PostgresSettings, Settings
from stage_engine import mending
from stage_engine.mending import Letter

Work = Callable[["DeskSettings"], Coroutine[Any, Any, None]]


class DeskSettings(Settings):
    kafka: KafkaSettings
    postgres: PostgresSettings


def listing(*, code: str | None, replayed: bool, limit: int) -> Work:
    async def work(engine: AsyncEngine) -> None:
        found = await mending.letters(engine, code=code, replayed=replayed, limit=limit)
        for one in found:
            typer.echo(f"{one.received_at:%Y-%m-%d %H:%M:%S}  {one.place:<28}  {one.code:<20} {one.reason[:80]}")
        typer.echo(f"{len(found)} dead letters" if found else "no dead letters")

    return _with_engine(work)


def showing(place: str) -> Work:
    async def work(engine: AsyncEngine) -> None:
        one = await mending.letter(engine, place)
        for name, value in (
            ("place", one.place),
            ("storefront", one.storefront or "unknown"),
            ("code", one.code),
            ("reason", one.reason),
            ("source", one.source),
            ("received", one.received_at.isoformat()),
            ("replayed", one.replayed_at.isoformat() if one.replayed_at else "no"),
        ):
            typer.echo(f"{name:<12} {value}")
        typer.echo(one.raw.decode("utf-8", "backslashreplace"))

    return _with_engine(work)


def replaying(*, place: str | None, code: str | None) -> Work:
    async def main(settings: DeskSettings) -> None:
        sender = Sender(settings.kafka, client_id="stagepost-dead-letters")

        async def work(engine: AsyncEngine) -> None:
            found: list[Letter] = (
                [await mending.letter(engine, place)]
                if place is not None
                else await mending.letters(engine, code=code, replayed=False, limit=100_000)
            )
            try:
                sent, left = await mending.replay(engine, sender, found)
            except (SendFailed, SendUnknown) as error:
                raise Unreachable(f"Kafka did not take them: {error}; nothing is marked as sent") from None
            typer.echo(f"{len(sent)} sent again")
            for one in left:
                typer.echo(f"{one.place} holds no event that could be sent: {one.reason}", err=True)

        try:
            await _with_engine(work)(settings)
        finally:
            await sender.stop()

    return main


def refolding(customer: UUID | None) -> Work:
    async def work(engine: AsyncEngine) -> None:
        async with transaction(engine) as connection:
            count = await mending.ask_to_refold(connection, customer=customer)
        typer.echo(f"{count} to be folded again; a running stage engine does it" if count else "nobody to fold again")

    return _with_engine(work)


def _with_engine(work: Callable[[AsyncEngine], Awaitable[None]]) -> Work:
    async def main(settings: DeskSettings) -> None:
        engine = create_engine(settings.postgres, application="desk")
        try:
            await check_migrated(engine)
            await work(engine)
        finally:
            await engine.dispose()

    return main
