"""A real shop's history told to a whole stack, and beside it the pure fold of the same events."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import httpx
import msgspec

from ingest.dialects.native import read_event
from ingest.dialects.reading import Call, Refusal
from services.contracts.events import SaidBy
from services.contracts.identity import Identity, IdentityKind
from services.shop import load_shop
from stage_engine.arrivals import Place, arrival
from stage_engine.fold import Folded, fold
from stage_engine.history import Entry, Position
from stage_engine.model.load import load_model
from stage_engine.orders import Order
from stage_engine.state import State, decode_state

SHOPS = Path(__file__).resolve().parents[1] / "integration" / "real_shops"
AT_ONCE = 1_000
"""Events of one call."""
EVERYTHING_IS_KNOWN = datetime(2100, 1, 1, tzinfo=UTC)
"""Beyond every due time: the histories ended years ago, so in the database all of them have been crossed too."""

Stack: TypeAlias = Any
"""The RunningStack of stacks.py."""
Said = dict[str, Any]
"""An event as a client posts it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is derived of one customer: from the database, or from a fold.

    `book` is the order book, each version of a row with the event that made it so; `moves` are the ids of the
    transitions that stand. Both are in their order.
    """

    state: State
    next_wake: datetime | None
    book: Sequence[tuple[Position, Order]]
    moves: Sequence[UUID]


class Telling:
    """One storefront of `real_shops` in a running stack."""

    def __init__(self, stack: Stack, storefront: str, http: httpx.AsyncClient, sql: asyncpg.Connection) -> None:
        self.stack = stack
        self.storefront = storefront
        self.http = http
        self.sql = sql

    async def post(self, said: Sequence[Said]) -> None:
        """As a good client does: in lists, each acknowledged before the next, and slower when asked to."""
        for first in range(0, len(said), AT_ONCE):
            part = said[first : first + AT_ONCE]
            while (answer := await self._posted(part)).status_code == HTTPStatus.TOO_MANY_REQUESTS:  # noqa: ASYNC110  as asked
                await asyncio.sleep(int(answer.headers["Retry-After"]))
            assert answer.json() == {"received": len(part), "accepted": len(part), "rejected": []}

    async def _posted(self, part: Sequence[Said]) -> httpx.Response:
        return await self.http.post(
            f"{self.stack.endpoints['ingest']}/v1/events",
            content=json.dumps(part),
            headers={"X-Write-Key": self._write_key()},
        )

    def _write_key(self) -> str:
        keys = json.loads((self.stack.home / "keys" / "plain-write-keys.json").read_text(encoding="utf-8"))
        key: str = keys[self.storefront]["server"]
        return key

    async def stored(self) -> int:
        found: int = await self.sql.fetchval(
            "SELECT count(*) FROM engine.events WHERE storefront = $1", self.storefront
        )
        return found

    async def is_folded(self, events: int) -> bool:
        """Whether so many are stored, and nothing of them waits, is due or is held back."""
        undone = """SELECT count(*) FROM engine.customers WHERE storefront = $1
                    AND (waits_at IS NOT NULL OR hold IS NOT NULL OR state IS NULL
                         OR next_wake <= (SELECT at FROM engine.watermark))"""
        return await self.stored() == events and not await self.sql.fetchval(undone, self.storefront)

    async def customer(self, user_id: str, at: datetime | None = None) -> dict[str, Any]:
        """As an operator sees them."""
        moment = {"at": at.isoformat()} if at else {}
        answer = await self.http.get(
            f"{self.stack.endpoints['stage_engine']}/v1/customers",
            params={"user_id": user_id, "storefront": self.storefront, **moment},
            headers={"Authorization": f"Bearer {self.stack.endpoints['operator_key']}"},
        )
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["customers"]
        return dict(found)

    async def standings(self) -> dict[Identity, Standing]:
        """What the database has of every customer, by the strongest identity that they are."""
        customers = await self.sql.fetch(
            "SELECT customer.id, kind, value, state, next_wake FROM engine.customers AS customer"
            "  JOIN engine.identities AS identity ON identity.id = root AND identity.customer_id = customer.id"
            " WHERE customer.storefront = $1",
            self.storefront,
        )
        moves: dict[UUID, list[UUID]] = defaultdict(list)
        for row in await self.sql.fetch(
            "SELECT customer_id, id FROM reporting.transitions WHERE storefront = $1 ORDER BY customer_id, number",
            self.storefront,
        ):
            moves[row["customer_id"]].append(row["id"])
        book: dict[UUID, list[tuple[Position, Order]]] = defaultdict(list)
        for row in await self.sql.fetch(
            "SELECT version.* FROM engine.orders AS version JOIN engine.customers AS customer ON id = customer_id"
            " WHERE storefront = $1 ORDER BY customer_id, changed_at, changed_rank, changed_id",
            self.storefront,
        ):
            position = Position(row["changed_at"], row["changed_rank"], row["changed_id"])
            order = Order(**{name: row[name] for name in Order.__struct_fields__})
            book[row["customer_id"]].append((position, order))
        return {
            Identity(IdentityKind(row["kind"]), row["value"]): Standing(
                decode_state(row["state"]), row["next_wake"], book[row["id"]], moves[row["id"]]
            )
            for row in customers
        }

    def expected(self, said: Sequence[Said]) -> dict[Identity, Standing]:
        """The pure fold of what was posted, each customer's by itself; who is whom is by the strongest identity."""
        model, storefront = load_model(SHOPS / "lifecycle.yaml"), load_shop(SHOPS).storefronts[self.storefront]
        call = Call(storefront=self.storefront, said_by=SaidBy.SERVER, received_at=datetime.now(UTC), new_id=str)
        histories: dict[Identity, list[Entry]] = defaultdict(list)
        for number, item in enumerate(said):
            event = read_event(msgspec.json.encode(item), call)
            assert not isinstance(event, Refusal), event
            entry = arrival(event, storefront, Place("storefront.events", 0, number)).entry
            histories[entry.belongs_to].append(entry)
        return {
            who: _standing(fold(entries, model, EVERYTHING_IS_KNOWN, storefront=storefront))
            for who, entries in histories.items()
        }


def _standing(folded: Folded) -> Standing:
    return Standing(folded.state, folded.next_wake, list(folded.orders), [move.transition.id for move in folded.moves])


def user(value: str) -> Identity:
    return Identity(IdentityKind.USER_ID, value)


@asynccontextmanager
async def telling(stack: Stack, storefront: str) -> AsyncIterator[Telling]:
    sql = await asyncpg.connect(stack.endpoints["postgres"], server_settings={"timezone": "UTC"})
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            yield Telling(stack, storefront, http, sql)
    finally:
        await sql.close()
