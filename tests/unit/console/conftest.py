"""Builders of rows, and a console whose Postgres is nowhere: all that is decided before anything is read."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid5

import httpx2
import pytest
from pydantic import SecretStr

from console import queries
from console.app import Reads, Shown, create_app
from console.queries import HappenedEvent, Message, Move
from console.sessions import Sessions
from services.contracts.storefront import Sender, Storefront
from services.postgres import create_engine
from services.process import Readiness
from services.settings import PostgresSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = "the-operators-own-key"
NOBODY = UUID(int=0)


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: datetime = field(default=NOON)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


@pytest.fixture
def noon() -> datetime:
    return NOON


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def operator_key() -> str:
    return KEY


@pytest.fixture
def sessions() -> Sessions:
    return Sessions.under(SecretStr(KEY), timedelta(hours=12))


@pytest.fixture
async def http(clock: Clock, sessions: Sessions) -> AsyncIterator[httpx2.AsyncClient]:
    """Postgres' port is one where nothing listens: a page that is let through ends at 503."""
    settings = PostgresSettings(dsn=SecretStr("postgresql://stagepost:its-password@127.0.0.1:1/stagepost"))
    engine = create_engine(settings, application="test")
    reads = Reads(
        overview=partial(queries.overview, engine),
        journey=partial(queries.journey, engine),
        search=partial(queries.search, engine),
    )
    shop = Storefront(
        name="Shop",
        url="https://shop.example",
        currency="EUR",
        timezone="Europe/Berlin",
        sender=Sender(name="Shop", email="hello@shop.example"),
    )
    shown = Shown(storefronts={"shop": shop}, order={}, ingest_url="http://127.0.0.1:8080")
    app = create_app(reads, lambda: shown, sessions, Readiness(), clock)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://console.example") as client:
        yield client
    await engine.dispose()


@pytest.fixture
def move() -> Callable[..., Move]:
    def build(
        to: str, *, before: str | None = None, at: datetime = NOON, track: str = "lifecycle", **more: str
    ) -> Move:
        said = {"key": "", "rule": f"{track}.{to}.1", "reason": "Product Viewed", **more}
        name = f"{track}{said['key']}{before}{to}{at}"
        return Move(
            storefront="shop",
            customer_id=NOBODY,
            id=uuid5(NOBODY, name),
            at=at,
            track=track,
            from_stage=before,
            to_stage=to,
            **said,
        )

    return build


@pytest.fixture
def event() -> Callable[..., HappenedEvent]:
    def build(name: str, *, at: datetime = NOON, event_id: str = "e1", properties: str = "{}") -> HappenedEvent:
        return HappenedEvent(
            event_id=event_id, name=name, occurred_at=at, received_at=at, said_by="server", properties=properties
        )

    return build


@pytest.fixture
def message() -> Callable[..., Message]:
    def build(status: str = "sent", *, reason: str | None = None, follow_up: str = "thank-you") -> Message:
        return Message(
            storefront="shop",
            follow_up=follow_up,
            channel="email",
            customer_id=NOBODY,
            status=status,
            reason=reason,
            created_at=NOON,
            sent_at=None,
        )

    return build
