"""`stagepost why` at work: reads Postgres itself, so that it answers where the engine's port can't be reached."""

import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncConnection

from services.contracts.identity import IdentityKind
from services.errors import ConfigurationError, NotFound
from services.postgres import check_migrated, create_engine, reading
from services.settings import PostgresSettings, Settings
from stage_engine.asking import Answer, ask_why, current, led_to
from stage_engine.in_force import InForce
from stage_engine.rules import Rules
from stage_engine.why_messages import message_lines, messages_of, messages_view
from stage_engine.why_screen import WIDTH, screen
from stage_engine.why_view import why_view

Asked = UUID | tuple[IdentityKind, str]
"""A customer's id, or an identity that leads to them."""


class WhySettings(Settings):
    postgres: PostgresSettings


def answering(
    asked: Asked, *, storefront: str | None, at: datetime | None, as_json: bool
) -> Callable[[WhySettings], Coroutine[Any, Any, None]]:
    async def main(settings: WhySettings) -> None:
        engine = create_engine(settings.postgres, application="why")
        try:
            await check_migrated(engine)
            rules = await InForce(engine, tells=False).look()
            if storefront is not None and storefront not in rules.storefronts:
                known = ", ".join(rules.storefronts)
                raise ConfigurationError(f"there is no storefront `{storefront}`; there are: {known}")
            async with reading(engine) as connection:
                answers = await _answers(connection, rules, asked, storefront, at)
                told = [await messages_of(connection, one.customer.id, at or datetime.now(UTC)) for one in answers]
        finally:
            await engine.dispose()
        if as_json:
            views = [
                {
                    **why_view(answer.customer, answer.why, answer.events, rules.model),
                    "messages": messages_view(messages),
                }
                for answer, messages in zip(answers, told, strict=True)
            ]
            typer.echo(json.dumps({"customers": views}, indent=2, ensure_ascii=False))
            return
        console = Console(highlight=False)
        console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
        for number, (answer, messages) in enumerate(zip(answers, told, strict=True)):
            if number:
                console.rule()
            console.print(screen(answer, rules.model), *message_lines(messages), sep="\n")

    return main


async def _answers(
    connection: AsyncConnection, rules: Rules, asked: Asked, storefront: str | None, at: datetime | None
) -> list[Answer]:
    if isinstance(asked, UUID):
        ids = [await current(connection, asked)]
    else:
        ids = await led_to(connection, rules.namespaces, *asked, storefront)
    found = [await ask_why(connection, rules, id_, now=datetime.now(UTC), at=at) for id_ in ids]
    answers = [answer for answer in found if answer is not None]
    if not answers:
        named = str(asked) if isinstance(asked, UUID) else f"{asked[0].field} {asked[1]}"
        raise NotFound(f"nobody is known by {named}")
    return answers
