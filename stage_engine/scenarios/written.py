"""What `scenarios/*.yaml` may say, as it is written; an unknown key is a fault. `read.py` makes stories of it. Pure."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta

from services.contracts.vocabulary import PROPERTIES

Span = Annotated[str, Meta(description="How long.", examples=["1h30m", "7d"])]
Time = Annotated[str, Meta(description="UTC, unless it says its offset.", examples=["2026-03-01 10:00"])]
OfTrack = str | dict[str, str]
"""A stage; on carts and orders, where there are several, by key: `abandoned`, or `{c1: abandoned}`."""
SomeOfTrack = str | list[str] | dict[str, str | list[str]]


class WhoWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who an event names, or an `expect` is about."""

    user_id: str | int | None = None
    email: str | None = None
    phone: str | int | None = None
    anonymous_id: str | int | None = None
    cart_token: str | int | None = None


class _Given(WhoWritten, frozen=True, kw_only=True, forbid_unknown_fields=True):
    event: str
    at: Time | None = None
    ago: Span | None = None
    id: str | None = None
    said_by: Literal["server", "browser"] = "server"
    traits: dict[str, Any] = {}
    properties: dict[str, Any] = {}


GivenWritten: Final = msgspec.defstruct(
    "GivenWritten",
    [(name, Any, UNSET) for name in PROPERTIES],
    bases=(_Given,),
    namespace={"__doc__": "An event; what docs/events.md names stands beside it, a shop's own under `properties`."},
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
)


class NotWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None of this may be so."""

    stage: dict[str, SomeOfTrack] = {}
    changes: dict[str, SomeOfTrack] = {}
    reasons: str | list[str] = []
    facts: dict[str, Any] = {}


class ExpectWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of this has to be so. `changes`, `taken_back` and `reasons` are of what happened since the last `expect`."""

    of: WhoWritten | None = None
    stage: dict[str, OfTrack] = {}
    facts: dict[str, Any] = {}
    changes: list[dict[str, OfTrack]] | dict[str, SomeOfTrack] | None = None
    taken_back: list[dict[str, OfTrack]] | dict[str, SomeOfTrack] | None = None
    reasons: str | list[str] = []
    next: Annotated[str, Meta(examples=["7d", "2026-03-01 10:00", "never"])] | None = None
    customers: int | None = None
    not_: NotWritten | None = msgspec.field(default=None, name="not")


class StepWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of them."""

    given: GivenWritten | list[GivenWritten] | None = None  # type: ignore[valid-type]  # mypy can't read a struct made of a list of names
    at: Time | None = None
    advance: Span | None = None
    expect: ExpectWritten | None = None


ScenariosWritten = dict[str, list[StepWritten]]
"""A file: what happens and what is expected, by the name of each scenario."""
