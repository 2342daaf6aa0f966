"""What clients ask for before they send, and what they report of themselves: small, and nothing of it is kept."""

import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingest.cors import cors_headers
from ingest.storefronts import Keys
from services.errors import RequestError

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")
SETTINGS_PATHS: Final = ("/v1/projects/{key}/settings", "/projects/{key}/settings")


def add_bootstrap_routes(app: FastAPI, keys: Keys) -> None:
    async def settings(request: Request) -> Response:
        key: str = request.path_params["key"]
        try:
            keys.source_of(key, dict(request.scope["headers"]).get(b"origin"))
        except RequestError as error:
            return _answer(request, error.body, error.status)
        return _answer(request, settings_of(key, scheme=request.url.scheme, headers=dict(request.scope["headers"])))

    async def metrics(request: Request) -> Response:
        """Not even read: what is left of it goes with the connection."""
        return _answer(request, {"success": True}, connection="close")

    for path in SETTINGS_PATHS:
        app.add_api_route(
            path,
            settings,
            methods=["GET"],
            operation_id=path.removesuffix("/{key}/settings").strip("/").replace("/", "-") + "-settings",
            summary="Where Segment's browser and mobile clients are to send to: here",
            response_model=None,
            responses={
                200: {
                    "description": "As Segment answers it",
                    "content": {"application/json": {"example": settings_of("spwk_…", scheme="https", headers={})}},
                },
                401: {"description": "No write key that is known here"},
                403: {"description": "The write key is for other pages"},
            },
            openapi_extra={
                "parameters": [{"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}]
            },
        )
    app.add_api_route(
        "/v1/m",
        metrics,
        methods=["POST"],
        operation_id="m",
        summary="Takes what clients report of themselves, and keeps none of it",
        response_model=None,
        responses={200: {"description": "Always", "content": {"application/json": {"example": {"success": True}}}}},
    )


def settings_of(key: str, *, scheme: str, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What analytics-next takes for its settings: it then sends to the host that it asked, by the name it asked it by.

    A proxy's word for the host and the scheme is believed from anybody: it changes the answer to who sent it only.
    """
    host = next(
        (
            name
            for header in (b"x-forwarded-host", b"host")
            if _HOST.fullmatch(name := headers.get(header, b"").decode("latin-1").strip())
        ),
        "localhost",
    )
    said = headers.get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": f"{host}/v1",
                "protocol": said if said in ("http", "https") else scheme,
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            }
        },
        # With a `track` in it the browser's script would fetch one more script to filter by it.
        "plan": {},
        "metrics": {"sampleRate": 0},
    }


def _answer(request: Request, body: object, status: int = 200, **more: str) -> Response:
    extra = {name.decode(): value.decode("latin-1") for name, value in cors_headers(dict(request.scope["headers"]))}
    return JSONResponse(body, status_code=status, headers={"cache-control": "no-store", **extra, **more})
