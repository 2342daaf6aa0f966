"""What an onlooker sees: stage changes from the topic as any subscriber gets them, and mails in the mailbox."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer
from rich.markup import escape

from services.contracts.changes import StageChanged, UnknownChangeType, decode_change
from services.contracts.topics import STAGE_CHANGES

Say = Callable[[str], None]
NameOf = Callable[[UUID], Awaitable[str]]


@dataclass(slots=True)
class Seen:
    """What was seen so far."""

    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    mails: list[tuple[str, str]] = field(default_factory=list)
    sequences: dict[UUID, int] = field(default_factory=dict)


async def follow_changes(bootstrap_servers: str, seen: Seen, say: Say, name_of: NameOf, ready: asyncio.Event) -> None:
    """Says every move from now on, until cancelled. What is not above the last sequence seen is a repeat."""
    consumer = AIOKafkaConsumer(STAGE_CHANGES, bootstrap_servers=bootstrap_servers, auto_offset_reset="latest")
    await consumer.start()
    try:
        await consumer.seek_to_end()
        ready.set()
        async for record in consumer:
            try:
                change = decode_change(record.headers, record.value)
            except UnknownChangeType:
                continue
            if not isinstance(change, StageChanged):
                continue
            if change.sequence <= seen.sequences.get(change.customer_id, 0):
                continue
            seen.sequences[change.customer_id] = change.sequence
            move = change.transition
            seen.moves[move.track, move.to_stage] += 1
            if move.from_stage is not None:
                way = f"{move.track}: {move.from_stage} → {move.to_stage}"
                say(f"  [cyan]●[/] {await name_of(change.customer_id):<6} {way:<38} [dim]{escape(move.reason)}[/]")
    finally:
        await consumer.stop()


async def follow_mails(client: httpx.AsyncClient, mailbox: str, seen: Seen, say: Say) -> None:
    """Says every mail that arrives from now on, until cancelled."""
    known = {mail["ID"] for mail in await _mails(client, mailbox)}
    while True:
        for mail in reversed(await _mails(client, mailbox)):
            if mail["ID"] not in known:
                known.add(mail["ID"])
                to = mail["To"][0]["Address"]
                seen.mails.append((to, mail["Subject"]))
                say(f"  [magenta]✉[/] {to:<45} [bold]{escape(str(mail['Subject']))}[/]")
        await asyncio.sleep(0.3)


async def _mails(client: httpx.AsyncClient, mailbox: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{mailbox}/api/v1/messages", params={"limit": 200})
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["messages"]
    return found
