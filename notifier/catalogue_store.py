"""The catalogue in Postgres: a row for each product and each variant, written over by what is said later."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.catalogue import Catalogue, Entry, entries_of
from notifier.tables import products
from services.contracts.products import Product, ProductGone
from services.postgres import columns_of, rows, selected

_encoder = msgspec.json.Encoder(decimal_format="string")
_entry = msgspec.json.Decoder(Entry)
_P = products.c
_COLUMNS: list[sa.Column[Any]] = list(products.c)
NONE = ""
"""In place of a variant, where there is none: part of a key."""

Key = tuple[str, str, str]


def key_of(said: Product | ProductGone) -> Key:
    return said.storefront, said.product_id, said.variant or NONE


async def save(connection: AsyncConnection, said: Sequence[Product | ProductGone]) -> None:
    """Of one key what was said last; of two times of change the later holds, since platforms deliver in any order."""
    last: dict[Key, Product | ProductGone] = {}
    for one in said:
        if not (isinstance(one, Product) and _is_older(one, last.get(key_of(one)))):
            last[key_of(one)] = one
    keys = sorted(last)
    known = rows("known", [_P.storefront, _P.product_id, _P.record])
    same = sa.and_(
        _P.storefront == known.c.storefront, _P.product_id == known.c.product_id, _P.record == known.c.record
    )
    values = columns_of("known", [_P.storefront, _P.product_id, _P.record], keys)
    stored: dict[Key, datetime | None] = {}
    for row in await connection.execute(sa.select(products).join(known, same).with_for_update(of=products), values):
        stored[row.storefront, row.product_id, row.record] = row.updated_at
    new = {key: one for key, one in last.items() if not (isinstance(one, Product) and _before(one, stored.get(key)))}
    await connection.execute(
        sa.delete(products).where(same), columns_of("known", [_P.storefront, _P.product_id, _P.record], sorted(new))
    )
    lines = [line for key in sorted(new) for line in _lines(key, new[key])]
    if lines:
        fresh = rows("new", _COLUMNS)
        await connection.execute(
            insert(products).from_select(_COLUMNS, sa.select(*selected(fresh, _COLUMNS))).on_conflict_do_nothing(),
            columns_of("new", _COLUMNS, lines),
        )


def _is_older(one: Product, than: Product | ProductGone | None) -> bool:
    return isinstance(than, Product) and _before(one, than.updated_at)


def _before(one: Product, at: datetime | None) -> bool:
    return one.updated_at is not None and at is not None and one.updated_at < at


def _lines(key: Key, said: Product | ProductGone) -> list[tuple[Any, ...]]:
    if isinstance(said, ProductGone):
        return []
    return [
        (*key, entry.variant_id or NONE, entry.sku, said.updated_at, _encoder.encode(entry).decode())
        for entry in entries_of(said)
    ]


async def load(connection: AsyncConnection, wanted: Mapping[str, Collection[str]]) -> dict[str, Catalogue]:
    """By storefront, what stands under these ids and numbers: of a product, all its variants."""
    pairs = [(storefront, name) for storefront in sorted(wanted) for name in sorted(wanted[storefront])]
    if not pairs:
        return {}
    asked = rows("asked", [_P.storefront, _P.product_id])
    values = columns_of("asked", [_P.storefront, _P.product_id], pairs)
    matches = [
        sa.select(_P.storefront, _P.product_id, _P.record, _P.variant).join(
            asked, sa.and_(asked.c.storefront == _P.storefront, asked.c.product_id == column)
        )
        for column in (_P.product_id, _P.sku, _P.variant)
    ]
    found = sa.union(*matches).subquery()
    one_of = sa.and_(*(found.c[name] == _P[name] for name in ("storefront", "product_id", "record", "variant")))
    entries: dict[str, list[Entry]] = {}
    chosen = sa.select(_P.storefront, sa.cast(_P.said, sa.Text).label("said")).join(found, one_of)
    for row in await connection.execute(chosen.order_by(_P.storefront, _P.product_id, _P.variant, _P.record), values):
        entries.setdefault(row.storefront, []).append(_entry.decode(row.said))
    return {storefront: Catalogue(tuple(listed)) for storefront, listed in entries.items()}
