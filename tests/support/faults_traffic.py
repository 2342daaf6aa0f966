"""A shop's day as one seed tells it, and the clients that send it until it is acknowledged.

What is said is drawn at random from small pools, so that devices, accounts and addresses meet in every way; how it is
sent is drawn as well: each event one to five times, shuffled, some of it days late, some from a clock a day off.
"""

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from faults_evidence import Expected
from faults_world import World

FERN: Final = "fern-shop"
MOSS: Final = "moss-shop"
PLANTS: Final = [
    {"product_id": "fern", "name": "Boston fern", "price": 24.9, "quantity": 1},
    {"product_id": "moss", "name": "Ball of moss", "price": 7.5, "quantity": 3},
    {"product_id": "ivy", "name": "Common ivy", "price": 11.0, "quantity": 2},
]
REMINDER: Final = "Your"
THANKS: Final = "Thank"
"""First words of the subjects."""

Said = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One event to one storefront, under the key of a `server` or of a `browser`."""

    storefront: str
    kind: str
    event: Said


@dataclass(eq=False)
class Shoppers:
    """The pools of one round: names are its own, so that rounds can share a stack."""

    rng: random.Random
    round: str
    users: list[str] = field(init=False)
    devices: list[str] = field(init=False)
    emails: list[str] = field(init=False)
    carts: list[str] = field(init=False)
    _events: int = 0
    _orders: list[tuple[str, Said]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.users = [f"{self.round}-user-{n}" for n in range(9)]
        self.devices = [f"{self.round}-device-{n}" for n in range(10)]
        self.emails = [f"{self.round}-{n}@example.com" for n in range(6)]
        self.carts = [f"{self.round}-cart-{n}" for n in range(8)]

    def id(self) -> str:
        self._events += 1
        return f"{self.round}-{self._events:04}"

    def calls(self, number: int) -> list[Call]:
        """So many events, each once and in the order in which they are made up."""
        made = [self._one() for _ in range(number)]
        made += [self._again_otherwise(call) for call in self.rng.sample(made, number // 15)]
        made += [
            Call(MOSS if c.storefront == FERN else FERN, c.kind, c.event) for c in self.rng.sample(made, number // 15)
        ]
        return made

    def _one(self) -> Call:
        rng = self.rng
        storefront, kind = rng.choice([FERN, FERN, FERN, MOSS]), rng.choice(["server", "server", "browser"])
        name, properties = rng.choice(
            [self._view, self._view, self._add, self._add, self._add, self._order, self._order,
             self._after_an_order, self._after_an_order, self._login, self._login, self._alias, self._survey]
        )()  # fmt: skip
        event = {"id": self.id(), "name": name, "properties": properties, **self._who(name)}
        if (when := self._when()) is not None:
            event["occurred_at"] = when.isoformat()
        return Call(storefront, kind, event)

    def _when(self) -> datetime | None:
        """None is now, when it is received: three in five."""
        rng, now = self.rng, datetime.now(UTC)
        match rng.choices(["now", "just", "late", "behind", "ahead"], [6, 4, 4, 1, 1])[0]:
            case "now":
                return None
            case "just":
                return (now - timedelta(seconds=rng.randrange(60))).replace(microsecond=0)
            case "late":
                return (now - timedelta(days=rng.randrange(1, 6), seconds=rng.randrange(7200))).replace(microsecond=0)
            case "behind":
                return now - timedelta(days=1)
            case _:
                return now + timedelta(days=1)

    def _who(self, name: str) -> Said:
        """Who is named: a login names a device and an account, a browser mostly its device, a till nobody."""
        rng = self.rng
        user, device, email = rng.choice(self.users), rng.choice(self.devices), rng.choice(self.emails)
        if name == "Identity Aliased":
            return {"user_id": user}
        if name == "Customer Identified":
            return rng.choice(
                [
                    {"user_id": user, "anonymous_id": device},
                    {"user_id": user, "anonymous_id": device, "email": email},
                    {"email": email, "anonymous_id": device},
                    {"user_id": user, "email": email},
                ]
            )
        return rng.choice(
            [
                {"anonymous_id": device},
                {"anonymous_id": device},
                {"user_id": user},
                {"user_id": user, "anonymous_id": device},
                {"email": email, "anonymous_id": device},
                {"anonymous_id": device, "cart_token": f"{rng.choice(self.carts)}-token"},
                {"user_id": rng.choice(["", "null", "guest", "0"]), "anonymous_id": device},
                {"email": "till@moss-and-more.example"},
            ]
        )

    def _view(self) -> tuple[str, Said]:
        return self.rng.choice(["Product Viewed", "Page Viewed", "Products Searched"]), self.rng.choice(PLANTS)

    def _add(self) -> tuple[str, Said]:
        cart = self.rng.choice([{"cart_id": self.rng.choice(self.carts)}, {}])
        name = self.rng.choice(["Product Added", "Product Added", "Product Removed", "Cart Viewed", "Checkout Started"])
        return name, {**self.rng.choice(PLANTS), **cart}

    def _order(self) -> tuple[str, Said]:
        products = self.rng.sample(PLANTS, self.rng.randrange(1, 4))
        total = round(sum(p["price"] * p["quantity"] for p in products), 2)
        order = {"order_id": f"{self.round}-order-{len(self._orders)}", "total": total, "revenue": total}
        order |= {"currency": self.rng.choice(["EUR", "EUR", "EUR", "GBP"]), "products": products}
        self._orders.append(("Order Completed", order))
        return self._orders[-1]

    def _after_an_order(self) -> tuple[str, Said]:
        """Also before it: an id that an order may yet get."""
        number = self.rng.randrange(len(self._orders) + 2)
        known = self._orders[number][1] if number < len(self._orders) else {"order_id": f"{self.round}-order-{number}"}
        return self.rng.choice(
            [
                ("Order Completed", known),
                ("Order Updated", {"order_id": known["order_id"]}),
                ("Order Shipped", {"order_id": known["order_id"]}),
                ("Order Refunded", {"order_id": known["order_id"], **self.rng.choice([{}, {"total": 5}])}),
                ("Order Cancelled", {"order_id": known["order_id"]}),
            ]
        )

    def _login(self) -> tuple[str, Said]:
        return "Customer Identified", {}

    def _alias(self) -> tuple[str, Said]:
        return "Identity Aliased", {"previous_id": self.rng.choice(self.users + self.devices)}

    def _survey(self) -> tuple[str, Said]:
        return "Survey Answered", {"kind": "nps", "score": self.rng.randrange(11)}

    def _again_otherwise(self, call: Call) -> Call:
        """The same id with another body: of somebody else, at another time, or of something else."""
        other = self._one().event
        changed = self.rng.choice([{"properties": other["properties"]}, {"name": other["name"]}])
        return Call(call.storefront, call.kind, call.event | changed)


def guests_who_log_in(rng: random.Random, run: str, number: int) -> tuple[list[list[Call]], list[Expected]]:
    """A guest leaves a cart and logs in, before it counts as abandoned, just then or later: one mail (fault 33)."""
    stories, expected = [], []
    for n in range(number):
        email, device, user = f"{run}-guest-{n}@example.com", f"{run}-guest-device-{n}", f"{run}-guest-user-{n}"
        guest = {"email": email, "anonymous_id": device}
        cart = {**PLANTS[0], "cart_id": f"{run}-guest-cart-{n}"}
        added = Call(
            FERN, "server", {"id": f"{run}-guest-{n}-added", "name": "Product Added", "properties": cart, **guest}
        )
        login = {"id": f"{run}-guest-{n}-login", "name": "Customer Identified", "user_id": user, **guest}
        stories.append([added, Call(FERN, "server", login)])
        expected.append(
            Expected(address=email, subject=REMINDER, least=1, most=1, why="a guest who left a cart logs in")
        )
    rng.shuffle(stories)
    return stories, expected


def buyers_with_a_past(run: str, number: int) -> tuple[list[list[Call]], list[Expected]]:
    """An order, and days later the news of one before it, which lets another rule confirm it (fault 34)."""
    stories, expected = [], []
    for n in range(number):
        email, user = f"{run}-buyer-{n}@example.com", f"{run}-buyer-{n}"
        who = {"user_id": user, "email": email}
        earlier = datetime.now(UTC) - timedelta(days=2, minutes=n)
        order = {"id": f"{run}-buyer-{n}-order", "name": "Order Completed", **who}
        late = {"id": f"{run}-buyer-{n}-late", "name": "Order Completed", "occurred_at": earlier.isoformat(), **who}
        stories.append(
            [
                Call(
                    FERN, "server", {**order, "properties": {"order_id": f"{user}-2", "total": 10, "products": PLANTS}}
                ),
                Call(
                    FERN,
                    "server",
                    {**late, "properties": {"order_id": f"{user}-1", "total": 5, "products": PLANTS[:1]}},
                ),
            ]
        )
        expected.append(Expected(address=email, subject=THANKS, least=1, most=1, why="which rule thanked changed"))
    return stories, expected


def carts(run: str, number: int) -> tuple[list[Call], list[Call], list[Expected]]:
    """Carts, the orders that follow them in time, and that nobody is to be reminded (fault 22)."""
    added, ordered, expected = [], [], []
    for n in range(number):
        who = {"user_id": f"{run}-buys-{n}", "email": f"{run}-buys-{n}@example.com"}
        cart = {**PLANTS[0], "cart_id": f"{run}-buys-cart-{n}"}
        order = {"order_id": f"{run}-buys-order-{n}", "total": 25, "products": PLANTS[:1]}
        added.append(
            Call(FERN, "server", {"id": f"{run}-buys-{n}-a", "name": "Product Added", "properties": cart, **who})
        )
        ordered.append(
            Call(FERN, "server", {"id": f"{run}-buys-{n}-o", "name": "Order Completed", "properties": order, **who})
        )
        expected.append(
            Expected(
                address=who["email"], subject=REMINDER, least=0, most=0, why="the order was there before the due time"
            )
        )
    return added, ordered, expected


@dataclass(eq=False)
class Clients:
    """Send until they are acknowledged, as good clients do. What was acknowledged is remembered."""

    world: World
    http: httpx.AsyncClient
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    sent: int = 0

    async def send(self, calls: Sequence[Call]) -> None:
        """All of one storefront and kind of key, as one batch."""
        first = calls[0]
        key = self.world.keys[first.storefront][first.kind]
        while True:
            try:
                answer = await self.http.post(
                    f"{self.world.endpoints['ingest']}/v1/events",
                    json=[call.event for call in calls],
                    headers={"X-Write-Key": key},
                )
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if answer.status_code == httpx.codes.OK:
                refused = {rejected["index"] for rejected in answer.json()["rejected"]}
                assert not refused, answer.text
                self.sent += len(calls)
                self.acknowledged |= {(call.storefront, call.event["id"]) for call in calls}
                return
            # Only one that has just started may turn calls away: else what Kafka doesn't take lies in the spool.
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
            await asyncio.sleep(0.2)

    async def send_all(self, batches: Sequence[Sequence[Call]], *, pause: float) -> None:
        """Four at a time; `pause` seconds between the batches of each."""
        waiting = iter(batches)

        async def client() -> None:
            for batch in waiting:
                await self.send(batch)
                await asyncio.sleep(pause)

        await asyncio.gather(*(client() for _ in range(4)))


def as_sent(rng: random.Random, calls: Sequence[Call]) -> list[list[Call]]:
    """Each one to five times, all shuffled, in batches of up to six."""
    copies = [call for call in calls for _ in range(rng.choices([1, 2, 3, 5], [6, 2, 1, 1])[0])]
    rng.shuffle(copies)
    return list(_batches(rng, copies))


def _batches(rng: random.Random, calls: Sequence[Call]) -> Iterator[list[Call]]:
    batch: list[Call] = []
    for call in calls:
        if batch and ((call.storefront, call.kind) != (batch[0].storefront, batch[0].kind) or len(batch) >= 6):
            yield batch
            batch = []
        batch.append(call)
        if rng.random() < 0.2:
            yield batch
            batch = []
    if batch:
        yield batch


def _poisoned(name: str, **other: Any) -> bytes:  # noqa: ANN401  any JSON
    event = {"id": "poison", "storefront": FERN, "name": name, "who": {}, "said_by": "server"}
    event |= {"occurred_at": "2026-01-01T00:00:00Z", "received_at": "2026-01-01T00:00:01Z"}
    return json.dumps(event | other).encode()


POISON: Final = (
    None,
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b'{"id": 1}',
    b'"\\ud800"',
    _poisoned("Product Viewed", storefront="nowhere"),
    _poisoned("Product Viewed", occurred_at="2026-01-02T00:00:00Z"),
    _poisoned("Product Viewed", properties={"name": "a\0b"}),
    _poisoned("Order Refunded", said_by="browser"),
)
"""What no client of ours would write (fault 18)."""
