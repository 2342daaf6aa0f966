"""`/docs` of each service: all of its document, and nothing from anybody else's network."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import create_async_engine

from ingest.openapi import document
from ingest.routes import HOT_ROUTES
from ingest.webhooks import WEBHOOK_ROUTES
from notifier.api import create_app as notifier_app
from services.api_page import add_api_page, page
from services.process import Readiness
from stage_engine.api import create_app as engine_app

ENGINE = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")


def ingest() -> FastAPI:
    class Documented(FastAPI):
        def openapi(self) -> dict[str, object]:
            return document(super().openapi(), HOT_ROUTES, WEBHOOK_ROUTES)

    app = Documented(title="Stagepost ingest", docs_url=None, redoc_url=None)
    add_api_page(app)
    return app


def engine() -> FastAPI:
    return engine_app(ENGINE, lambda: None, SecretStr("k" * 16), Readiness())


def notifier() -> FastAPI:
    return notifier_app(ENGINE, Readiness(), SecretStr("k" * 16), lambda: datetime.now(UTC))


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  the interface
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("app", [ingest, engine, notifier])
def test_the_page_says_every_operation_and_answer_and_loads_nothing(app: Callable[[], FastAPI]) -> None:
    made = app()
    answer = TestClient(made).get("/docs")
    assert answer.status_code == 200
    for path, item in made.openapi()["paths"].items():
        for verb, said in item.items():
            start = answer.text.index(f'<section id="{verb.upper()}-{path}">')
            section = answer.text[start : answer.text.index("</section>", start)]
            assert set(re.findall(r"<strong>(\w+)</strong>", section)) == set(said["responses"])
    reading = Addresses()
    reading.feed(answer.text)
    assert [address for address in reading.found if not address.startswith("#")] == ["openapi.json"]
    assert "<script" not in answer.text


def test_what_a_document_says_is_text_and_no_markup() -> None:
    said = {"summary": "<script>x</script>", "responses": {"200": {"description": "<b>"}}}
    shown = page({"info": {"title": "T"}, "paths": {"/x": {"get": said}}})
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
