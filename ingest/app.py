"""The HTTP face of ingest. The hot routes are plain ASGI: a FastAPI route with models costs four times their CPU."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest import measures
from ingest.answers import Answer, Answering, as_json, as_taken
from ingest.bootstrap import add_bootstrap_routes
from ingest.cleaning import cleaned
from ingest.clients import client_of
from ingest.cors import Headers, cors_headers, preflight_headers
from ingest.decide import Decision, decide, record_bytes
from ingest.dialects.reading import Body, Call
from ingest.doors import Asked, Door, by_key
from ingest.gate import Gate
from ingest.limits import Limits, read_body
from ingest.networks import network_of
from ingest.openapi import document
from ingest.publish import Publisher
from ingest.room import Held
from ingest.routes import HOT_ROUTES, PIXEL_ROUTES
from ingest.signatures import Secrets
from ingest.storefronts import Keys, Source
from ingest.webhooks import WEBHOOK_ROUTES, by_signature
from services.api_page import add_api_page
from services.contracts.events import SaidBy
from services.errors import BadRequest, RequestError, TooLarge
from services.process import Readiness, operational_routes
from services.unrouted import answer_unrouted

log = structlog.get_logger()

SMALL: Final = 65_536
"""Bytes of a body that has mostly come by the time we look: one packet or a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """What the routes work with. `clock` and `new_id` are the only sources of time and chance."""

    keys: Keys
    secrets: Secrets
    network_key: bytes
    publisher: Publisher
    gate: Gate
    readiness: Readiness
    limits: Limits
    clock: Callable[[], datetime]
    new_id: Callable[[datetime], str]


class _Documented(FastAPI):
    def openapi(self) -> dict[str, Any]:
        return document(super().openapi(), HOT_ROUTES, WEBHOOK_ROUTES, PIXEL_ROUTES)


def create_app(ingest: Ingest) -> FastAPI:
    app = _Documented(
        title="Stagepost ingest",
        description="Takes a shop's events. docs/ingest.md is the guide, docs/events.md the vocabulary.",
        version="1",
        exception_handlers={HTTPException: answer_unrouted},
        docs_url=None,
        redoc_url=None,
    )
    add_api_page(app)
    app.router.routes.extend(
        Route(
            route.path,
            _HotEndpoint(
                route.path,
                by_key(ingest.keys, cleaned(route.open_body), server_only=route.server_only),
                ingest,
                answer=route.answer,
                keeps=route.keeps,
            ),
            methods=["POST", "OPTIONS"],
        )
        for route in HOT_ROUTES
    )
    app.router.routes.extend(
        Route(
            route.path,
            _HotEndpoint(route.path, by_key(ingest.keys, route.open_query), ingest, answer=route.answer),
            methods=["GET"],
        )
        for route in PIXEL_ROUTES
    )
    app.router.routes.extend(
        Route(hook.path, _HotEndpoint(hook.path, by_signature(ingest.secrets, hook), ingest), methods=["POST"])
        for hook in WEBHOOK_ROUTES
    )
    add_bootstrap_routes(app, ingest.keys)
    app.router.routes.extend(operational_routes(ingest.readiness))
    return app


class _ClientLeft(Exception):
    """The connection closed before the body was in: nobody is there to be answered."""


class _HotEndpoint:
    """A POST says what happened in its body, a GET in its query."""

    def __init__(
        self, path: str, door: Door, ingest: Ingest, *, answer: Answering = as_taken, keeps: bool = True
    ) -> None:
        self._path = path
        self._door = door
        self._ingest = ingest
        self._answer = answer
        self._keeps = keeps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if scope["method"] in ("OPTIONS", "HEAD"):  # neither has looked at anything, so nothing has happened
            await _send(send, HTTPStatus.OK, as_json({}), preflight_headers(headers))
            return
        asked = Asked(headers, scope["query_string"], scope["path_params"], client_of(scope))
        stream = _Stream(receive)
        extra = cors_headers(headers)
        try:
            decision = await self._take(asked, stream, in_query=scope["method"] == "GET")
            answer, status = self._answer(decision), HTTPStatus.OK
        except RequestError as error:
            answer, status = as_json(error.body), error.status
            extra += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        except _ClientLeft:
            return
        except Exception:
            log.exception("a call could not be answered", route=self._path)
            answer = as_json(
                {"code": "internal_error", "message": "ingest failed; the fault is ours and is in its log"}
            )
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        if not stream.ended and scope["method"] != "GET":
            extra.append((b"connection", b"close"))  # the rest of the body is not read
        measures.requests(self._path, status).inc()
        await _send(send, status, answer, extra)

    async def _take(self, asked: Asked, stream: "_Stream", *, in_query: bool) -> Decision:
        """One call from its key to Kafka's acknowledgement; raises a RequestError for what the client must know."""
        gate, headers = self._ingest.gate, asked.headers
        opened = self._door(asked)
        if opened.known is not None and not _is_small(headers):
            gate.check(opened.known, asked.client, self._ingest.clock())
        with gate.room_for(opened.known, asked.client) as held:
            raw = asked.query if in_query else await self._read(headers, stream, held)
            received_at = self._ingest.clock()
            try:
                body, source = opened.body(raw)
            except RequestError:
                if opened.known is not None:
                    gate.spend(opened.known, asked.client, 1, received_at)
                raise
            if opened.sent_again:
                gate.check(source, asked.client, received_at)
            gate.spend(source, asked.client, len(body.items), received_at)
            held.belongs_to(source.storefront)
            return await self._publish(body, source, asked, received_at, held)

    async def _publish(self, body: Body, source: Source, asked: Asked, received_at: datetime, held: Held) -> Decision:
        ingest, headers = self._ingest, asked.headers
        call = Call(
            storefront=source.storefront,
            said_by=source.said_by,
            received_at=received_at,
            new_id=lambda: ingest.new_id(received_at),
            sent_at=headers[b"sentat"].decode("latin-1") if b"sentat" in headers else None,
            network=network_of(asked.client, source.storefront, ingest.network_key)
            if source.said_by is SaidBy.BROWSER
            else None,
        )
        decision = decide(body, call, ingest.limits, route=self._path)
        if (beyond := len(decision.events) - decision.received) > 0:  # one of Google's may be two hundred of ours
            ingest.gate.spend(source, asked.client, beyond, received_at)
        if not self._keeps:
            return decision
        if body.removed:
            measures.cards_removed(source.storefront).inc(body.removed)
        for rejected in decision.rejected:
            measures.rejected(source.storefront, rejected.refusal.code).inc()
        if body.single and decision.rejected:
            refusal = decision.rejected[0].refusal
            raise (TooLarge if refusal.code == TooLarge.code else BadRequest)(refusal.message, code=refusal.code)
        if ingest.readiness.waiting_for:
            raise ingest.publisher.not_started()
        held.grow(sum(record_bytes(record) for record in decision.records))
        await ingest.publisher.publish(decision.records, received_at)
        measures.accepted(source.storefront).inc(len(decision.events))
        return decision

    async def _read(self, headers: Mapping[bytes, bytes], stream: "_Stream", held: Held) -> bytes:
        try:
            async with asyncio.timeout(self._ingest.limits.body_time.total_seconds()):
                return await read_body(
                    stream.chunks(),
                    encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
                    claimed=headers.get(b"content-length", b"").decode("latin-1"),
                    limits=self._ingest.limits,
                    grown=held.grow,
                )
        except TimeoutError:
            raise self._ingest.publisher.too_slow() from None


def _is_small(headers: Mapping[bytes, bytes]) -> bool:
    """So that it is rather read than left unread: an answer before the end of a body costs the connection."""
    claimed = headers.get(b"content-length", b"")
    return claimed.isdigit() and int(claimed[:19]) <= SMALL


class _Stream:
    """A request's body, and whether all of it was read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            self.ended = not message.get("more_body", False)
            yield message.get("body", b"")


async def _send(send: Send, status: int, answer: Answer, headers: Headers) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": int(status),
            "headers": [
                (b"content-type", answer.content_type),
                (b"content-length", str(len(answer.body)).encode()),
                *answer.headers,
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
