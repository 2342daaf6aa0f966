"""An ASGI app behind the real HTTP server that the services run, on a free port of this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from services.process import http_server
from services.settings import HttpSettings


@asynccontextmanager
async def served(app: ASGIApp, **settings: object) -> AsyncIterator[int]:
    """The port. `settings` are those of HttpSettings."""
    server = http_server(app, HttpSettings.model_validate({"port": 0, **settings}))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving.result()
        await asyncio.sleep(0.001)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving
