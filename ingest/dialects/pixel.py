"""A call that stands in the address of a picture, as RudderStack's pixel has it: `?event=…&properties.price=12.5`."""

from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from ingest.cleaning import cleaned
from ingest.dialects import segment
from ingest.dialects.reading import Body
from services.errors import BadRequest

TYPES: Final = ("track", "page")
MOST_FIELDS: Final = 500
"""Parameters of an address; those of a real pixel are some twenty."""
DEEPEST: Final = 8
"""Dots in one name; what follows is part of the last one's."""
_NOT_OF_THE_EVENT: Final = frozenset({"writeKey", "type"})

_encode = msgspec.json.Encoder().encode


def open_query(query: bytes, *, kind: str) -> Body:
    """The address's parameters as the body that a `POST /v1/{kind}` would have. Raises BadRequest for too many."""
    try:
        said = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadRequest(f"the address has over {MOST_FIELDS} parameters", code="invalid") from None
    call: dict[str, Any] = {}
    for name, value in said:
        if name not in _NOT_OF_THE_EVENT:
            _put(call, name.split(".", DEEPEST), value)
    return cleaned(partial(segment.open_single, kind=kind))(_encode(call))


def _put(call: dict[str, Any], path: list[str], value: str) -> None:
    """`context.page.url` lies inside `context` and `page`. Where one name is both a text and more, the first holds."""
    *outer, last = path
    for name in outer:
        inner = call.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        call = inner
    call.setdefault(last, value)
