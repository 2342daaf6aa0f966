"""How a call that was taken is answered: in JSON, as the picture that was asked for, as Google's validator says it."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from ingest.decide import Decision

_encode = msgspec.json.Encoder().encode
_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent pixel."""


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


Answering = Callable[[Decision], Answer]


def as_json(body: object) -> Answer:
    return Answer(_encode(body))


def as_taken(decision: Decision) -> Answer:
    return as_json(decision.answer)


def as_picture(_: Decision) -> Answer:
    """Never from a cache: each look at the page is to be told."""
    return Answer(_GIF, b"image/gif", ((b"cache-control", b"no-store"),))


def as_validation(decision: Decision) -> Answer:
    return as_json(
        {
            "validationMessages": [
                {
                    "fieldPath": f"events[{rejected.index}]",
                    "description": rejected.refusal.message,
                    "validationCode": rejected.refusal.code.upper(),
                }
                for rejected in decision.rejected
            ]
        }
    )
