"""Who may bring a platform's webhooks: the one whose secret has signed the whole body, and nobody else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from platforms import shopify_headers, signature, woocommerce_headers

from ingest.app import Ingest, create_app
from ingest.breaker import Closed
from ingest.gate import Gate
from ingest.limits import Limits
from ingest.progress import InFlight
from ingest.publish import Publisher
from ingest.service import new_event_id
from ingest.settings import InFlightSettings, IngestSettings, PublishSettings, RateSettings, SpoolSettings
from ingest.signatures import Secrets
from ingest.spool import Spool
from ingest.storefronts import Keys
from ingest.switch import Switch
from services.contracts.events import SaidBy
from services.contracts.webhook_secrets import Platform, WebhookSecret
from services.errors import ConfigurationError
from services.kafka import Sender
from services.process import Readiness
from services.settings import KafkaSettings

OLD, NEW, OTHERS = "the-old-secret", "the-new-secret", "of-another-shop"
SECRETS = [
    WebhookSecret(storefront="shop", platform=Platform.SHOPIFY, secret=OLD),
    WebhookSecret(storefront="shop", platform=Platform.SHOPIFY, secret=NEW),
    WebhookSecret(storefront="shop", platform=Platform.WOOCOMMERCE, secret=NEW),
    WebhookSecret(storefront="other", platform=Platform.SHOPIFY, secret=OTHERS),
]
WOOCOMMERCE = "/v1/webhooks/woocommerce/shop"
SHOPIFY = "/v1/webhooks/shopify/shop"
CART = b'{"id": "c", "token": "c", "line_items": []}'


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """An ingest that has not reached Kafka: a call that may come in gets as far as 503 `unavailable`."""
    spool = Spool(tmp_path / "spool.sqlite", SpoolSettings())
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    ingest = Ingest(
        keys=Keys([]),
        secrets=Secrets(SECRETS),
        network_key=b"hides-the-networks",
        publisher=Publisher(Sender(kafka, client_id="test"), PublishSettings(), InFlight(), spool, Switch(Closed())),
        gate=Gate(RateSettings(), InFlightSettings()),
        readiness=Readiness({"kafka"}),
        limits=Limits(body_bytes=10_000),
        clock=lambda: datetime.now(UTC),
        new_id=new_event_id,
    )
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(ingest)), base_url="http://ingest.test"
    ) as client:
        yield client
    await spool.close()


def is_error(answer: httpx2.Response, status: int, code: str) -> bool:
    body = answer.json()
    return (answer.status_code, body["code"], set(body)) == (status, code, {"code", "message"})


@pytest.mark.parametrize("style", ["X-Shopify-", "Shopify-"])
@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_both_secrets_and_both_styles_of_headers_come_in(
    http: httpx2.AsyncClient, secret: str, style: str
) -> None:
    headers = shopify_headers("carts/update", CART, secret, style=style)
    assert is_error(await http.post(SHOPIFY, content=CART, headers=headers), 503, "unavailable")


@pytest.mark.parametrize("place", range(len(CART)))
async def test_one_flipped_byte_is_refused_wherever_it_is(http: httpx2.AsyncClient, place: int) -> None:
    flipped = CART[:place] + bytes([CART[place] ^ 1]) + CART[place + 1 :]
    headers = shopify_headers("carts/update", CART, NEW)
    assert is_error(await http.post(SHOPIFY, content=flipped, headers=headers), 401, "unauthorized")


async def test_every_refusal_is_in_the_same_words(http: httpx2.AsyncClient) -> None:
    right = shopify_headers("carts/update", CART, NEW)
    bare = {name: value for name, value in right.items() if "Hmac" not in name}
    answers = [
        await http.post(SHOPIFY, content=CART),
        await http.post(SHOPIFY, content=CART, headers=bare),
        await http.post(SHOPIFY, content=CART, headers={**bare, "X-Shopify-Hmac-Sha256": "nonsense"}),
        await http.post(SHOPIFY, content=CART, headers={**bare, "X-Shopify-Hmac-Sha256": b"\xff\xfe"}),
        await http.post(SHOPIFY, content=b"{no json", headers=right),
        await http.post(SHOPIFY, content=CART, headers=shopify_headers("carts/update", CART, OTHERS)),
        await http.post("/v1/webhooks/shopify/other", content=CART, headers=right),
        await http.post("/v1/webhooks/shopify/nowhere", content=CART, headers=right),
    ]
    assert all(is_error(answer, 401, "unauthorized") for answer in answers)
    assert len({answer.content for answer in answers}) == 1


async def test_woocommerce_signs_likewise_with_secrets_of_its_own(http: httpx2.AsyncClient) -> None:
    right = woocommerce_headers("order.updated", CART, NEW)
    assert is_error(await http.post(WOOCOMMERCE, content=CART, headers=right), 503, "unavailable")
    assert is_error(await http.post(WOOCOMMERCE, content=CART + b" ", headers=right), 401, "unauthorized")
    shopify_s = woocommerce_headers("order.updated", CART, OLD)
    assert is_error(await http.post(WOOCOMMERCE, content=CART, headers=shopify_s), 401, "unauthorized")


async def test_only_a_ping_may_come_unsigned_and_only_where_there_is_a_secret(http: httpx2.AsyncClient) -> None:
    async def code(path: str, raw: bytes, **headers: str) -> str:
        return str((await http.post(path, content=raw, headers=headers)).json()["code"])

    assert await code(WOOCOMMERCE, b"webhook_id=42") == "unavailable"
    assert await code("/v1/webhooks/woocommerce/other", b"webhook_id=42") == "unauthorized"
    assert await code(SHOPIFY, b"webhook_id=42") == "unauthorized"
    assert await code(WOOCOMMERCE, b"webhook_id=42&more=1") == "unauthorized"
    assert await code(WOOCOMMERCE, b"webhook_id=") == "unauthorized"
    assert await code(WOOCOMMERCE, b"webhook_id=42", **{"X-WC-Webhook-Signature": "wrong"}) == "unauthorized"


async def test_a_body_is_bounded_before_anybody_is_known(http: httpx2.AsyncClient) -> None:
    assert is_error(await http.post(SHOPIFY, content=b" " * 10_001), 413, "too_large")


async def test_other_methods_and_platforms_are_not_there(http: httpx2.AsyncClient) -> None:
    assert is_error(await http.get(SHOPIFY), 405, "method_not_allowed")
    assert is_error(await http.post("/v1/webhooks/other/shop", content=CART), 404, "not_found")


def test_what_is_signed_is_a_server_s_word() -> None:
    source = Secrets(SECRETS).source_of(Platform.SHOPIFY, "shop", signature(CART, OLD).encode(), CART)
    assert (source.storefront, source.said_by) == ("shop", SaidBy.SERVER)


def settings(monkeypatch: pytest.MonkeyPatch, given: str) -> IngestSettings:
    monkeypatch.setenv("STAGEPOST_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("STAGEPOST_WRITE_KEYS", '[{"storefront":"s","kind":"server","prefix":"p","sha256":"s"}]')
    monkeypatch.setenv("STAGEPOST_NETWORK_KEY", "hides-the-networks")
    monkeypatch.setenv("STAGEPOST_WEBHOOK_SECRETS", given)
    return IngestSettings.load()


def test_secrets_are_a_list_and_none_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings(monkeypatch, '[{"storefront": "shop", "platform": "shopify", "secret": "the-new-secret"}]')
    assert loaded.webhook_secrets == (SECRETS[1],)
    assert NEW not in repr(loaded) + repr(loaded.webhook_secrets)


@pytest.mark.parametrize("given", ['[{"storefront": "shop", "platform": "shopify", "secret": ""}]', "x", '[{"a": 1}]'])
def test_what_is_no_list_of_secrets_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    with pytest.raises(ConfigurationError, match="STAGEPOST_WEBHOOK_SECRETS"):
        settings(monkeypatch, given)
