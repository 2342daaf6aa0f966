"""The life of a service's process: its loops beside its HTTP server, readiness, and a clean stop.

A loop is `async def run(stopping)` that returns soon after `stopping` is set. One that returns earlier or raises ends
the process: a service that limps is worse than one that is restarted.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from services.bounded_http import BoundedHttp
from services.settings import HttpSettings
from services.telemetry import metrics

log = structlog.get_logger()

Loop = Callable[[asyncio.Event], Awaitable[None]]


@dataclass(slots=True)
class Readiness:
    """What still keeps the process from taking work: `/readyz` answers 503 and names it until nothing is left."""

    waiting_for: set[str] = field(default_factory=set)

    def ready(self, name: str) -> None:
        self.waiting_for.discard(name)

    def not_ready(self, name: str) -> None:
        self.waiting_for.add(name)


def operational_routes(readiness: Readiness) -> list[BaseRoute]:
    """`/livez` (the loop turns), `/readyz` (work can be taken), `/metrics`."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        waiting = sorted(readiness.waiting_for)
        return JSONResponse(
            {"status": "waiting" if waiting else "ok", "waiting_for": waiting}, status_code=503 if waiting else 200
        )

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's own handling ends the process before our loops have stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: ASGIApp, http: HttpSettings) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            host=http.host,
            port=http.port,
            log_config=None,
            access_log=False,
            http=BoundedHttp,
            server_header=False,
            # Uvicorn by itself believes whoever calls from this machine, or FORWARDED_ALLOW_IPS.
            proxy_headers=bool(http.trusted_proxies),
            forwarded_allow_ips=[str(network) for network in http.trusted_proxies],
            timeout_graceful_shutdown=int(http.shutdown_grace.total_seconds()),
        )
    )


async def run_service(app: ASGIApp, http: HttpSettings, loops: Mapping[str, Loop]) -> None:
    """Runs until SIGTERM or SIGINT, or until a loop or the server fails; then stops all and raises what failed.

    The order of stopping: no new requests, requests under way are finished, then the loops.
    """
    stopping = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stopping.set)
    server = http_server(app, http)
    loops_stopping = asyncio.Event()
    serving = asyncio.create_task(server.serve(), name="http")
    tasks = [asyncio.ensure_future(loop(loops_stopping)) for loop in loops.values()]
    asked = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({asked, serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if asked not in done:
        log.error("a part of the service ended by itself; stopping the rest")
    server.should_exit = True
    await asyncio.wait({serving})
    loops_stopping.set()
    outcomes = await asyncio.gather(serving, *tasks, return_exceptions=True)
    asked.cancel()
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        raise failures[0]
    if asked not in done:
        raise RuntimeError("a loop of the service returned before it was asked to stop")


async def repeat(step: Callable[[], Awaitable[bool]], stopping: asyncio.Event, *, idle: float) -> None:
    """Calls `step` until told to stop; rests `idle` seconds whenever it says there was nothing to do."""
    while not stopping.is_set():
        if not await step():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), idle)
