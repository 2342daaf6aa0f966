"""The hot routes: which path is read by which dialect. A new client's path is a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from ingest.answers import Answering, as_picture, as_taken, as_validation
from ingest.dialects import ga4, native, pixel, products, segment
from ingest.dialects.reading import Body


@dataclass(frozen=True, slots=True)
class HotRoute:
    """`about` stands in the OpenAPI document; `dialect` chooses the examples there.

    `keeps` is False where a call is only looked at.
    """

    path: str
    open_body: Callable[[bytes], Body]
    dialect: str
    about: str
    answer: Answering = as_taken
    keeps: bool = True
    server_only: bool = False


@dataclass(frozen=True, slots=True)
class PixelRoute:
    """A picture whose address says what happened; `open_query` reads it."""

    path: str
    open_query: Callable[[bytes], Body]
    kind: str
    about: str
    answer: Answering = as_picture


HOT_ROUTES: Final = (
    HotRoute("/v1/events", native.open_body, "native", "One event or a list of events in our own shape"),
    HotRoute(
        "/v1/products",
        products.open_body,
        "products",
        "The shop's catalogue: one product or a list, with a server's key",
        server_only=True,
    ),
    *(
        HotRoute(f"/v1/{kind}", partial(segment.open_single, kind=kind), kind, f"Segment's `{kind}` call")
        for kind in segment.TYPES
    ),
    HotRoute("/v1/batch", segment.open_batch, "batch", "Segment's calls of all types in one body"),
    HotRoute("/v1/import", segment.open_batch, "batch", "The same as `/v1/batch`, as older clients call it"),
    HotRoute("/v1/b", segment.open_batch, "batch", "The same as `/v1/batch`, as mobile clients call it"),
    HotRoute("/beacon/v1/batch", segment.open_batch, "batch", "RudderStack's browser client, as a page is left"),
    *(
        HotRoute(f"/v1/{kind[0]}", partial(segment.open_single, kind=kind), kind, f"The same as `/v1/{kind}`")
        for kind in segment.TYPES
    ),
    *(
        HotRoute(f"{way}/{kind}", partial(segment.open_single, kind=kind), kind, f"Jitsu's `{kind}` call")
        for way in ("/api/s", "/api/s/s2s")
        for kind in segment.TYPES
    ),
    HotRoute("/mp/collect", ga4.open_body, "ga4", "Google Analytics 4, Measurement Protocol"),
    HotRoute(
        "/debug/mp/collect",
        ga4.open_body,
        "ga4",
        "The same, only looked at: says what is wrong with it",
        answer=as_validation,
        keeps=False,
    ),
)

PIXEL_ROUTES: Final = tuple(
    PixelRoute(f"/pixel/v1/{kind}", partial(pixel.open_query, kind=kind), kind, f"RudderStack's pixel: a `{kind}` call")
    for kind in pixel.TYPES
)
