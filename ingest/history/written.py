"""What `mapping.yaml` may say, as it is written; an unknown key is a fault. `load.py` makes a Mapping of it."""

from typing import Literal

import msgspec

Constant = str | int | float | bool
"""A text is an expression over the row (`row.total`, `"otto-" + string(row.session)`), a number or `true` itself."""

ColumnType = Literal["text", "int", "decimal"]


class CsvWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`delimiter` is one character, or `whitespace` for any run of blanks. Without `columns` the first line names them.

    `decimal_mark` is what stands between whole and broken parts in columns of the type `decimal`.
    """

    delimiter: str = ","
    columns: list[str] | None = None
    encoding: str = "utf-8"
    decimal_mark: Literal[".", ","] = "."


class TimeWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`format` is `iso`, `seconds` or `milliseconds` since 1970, or as Python's strptime has it (`%d.%m.%Y %H:%M`).

    `zone` is where a time without an offset was written down; the storefront's, unless it says otherwise.
    """

    at: str
    format: str = "iso"
    zone: str | None = None


class WhoWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user_id: Constant | None = None
    email: Constant | None = None
    phone: Constant | None = None
    anonymous_id: Constant | None = None
    cart_token: Constant | None = None


class SkipWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    when: str
    because: str


class EventWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a row becomes; the first whose `when` holds. Its name is a `name`, or what a row says by `name_from`.

    Rows with equal values of `together` become one event, made of the first of them, with each row's `products` in a
    list and the `sums` over all. They may lie up to `apart` rows from each other.
    """

    name: str | None = None
    name_from: str | None = None
    when: str | None = None
    id: Constant | None = None
    together: str | list[str] | None = None
    apart: int = 100
    properties: dict[str, Constant] = {}
    products: dict[str, Constant] = {}
    sums: dict[str, str] = {}


class MappingWritten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rows` names the list in each line of NDJSON whose items are the rows; the line's other fields stand beside."""

    format: Literal["csv", "ndjson"]
    csv: CsvWritten = CsvWritten()
    rows: str | None = None
    types: dict[str, ColumnType] = {}
    time: TimeWritten
    who: WhoWritten
    traits: dict[str, Constant] = {}
    skip: list[SkipWritten] = []
    events: list[EventWritten]
