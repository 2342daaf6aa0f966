"""The rules of one revision of the shop, as a fold needs them, and who was folded by others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from services.contracts.storefront import Storefront
from stage_engine import tables
from stage_engine.model.model import Model
from stage_engine.pointers import Namespaces
from stage_engine.store import Customer

_C = tables.customers.c
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a fold needs beside events: the model in force and the storefronts that it is in force for.

    `revision` is its number, in force since `since`; `folded_as` has, by storefront, the first revision that folds its
    customers the same way: the number that they carry.
    """

    model: Model
    storefronts: Mapping[str, Storefront]
    namespaces: Namespaces = field(default_factory=dict)
    revision: int = 1
    folded_as: Mapping[str, int] = field(default_factory=dict)
    since: datetime = LONG_AGO

    def number(self, storefront: str) -> int:
        """What its customers carry that were folded by these rules."""
        return self.folded_as.get(storefront, self.revision)

    def is_behind(self, customer: Customer) -> bool:
        """Whether other rules made its state: then no part of that is a start for a fold by these."""
        return customer.revision not in (None, self.number(customer.storefront))

    def past(self, customer: Customer) -> datetime | None:
        """Up to when (inclusive) moves of a customer who is behind are of the past: replays, that start nothing.

        What was folded already, and what was due before these rules came into force. A wake that the rules before left
        undone by then is not of the past: nobody has heard of it yet.
        """
        if not self.is_behind(customer):
            return None
        until = self.since
        if customer.next_wake is not None and customer.next_wake <= until:
            until = customer.next_wake - timedelta(microseconds=1)
        folded = customer.state.position
        return until if folded is None else max(until, folded.occurred_at)

    @property
    def current(self) -> sa.ColumnElement[bool]:
        """Of customers: folded by these rules."""
        return sa.or_(
            sa.false(), *(sa.and_(_C.storefront == s, _C.revision == self.number(s)) for s in self.storefronts)
        )

    @property
    def behind(self) -> sa.ColumnElement[bool]:
        """Of customers: those to be brought forward to these rules; who stumbled over them already is not."""
        return sa.or_(sa.false(), *(sa.and_(_C.storefront == s, _other(self.number(s))) for s in self.storefronts))


def _other(number: int) -> sa.ColumnElement[bool]:
    """In ranges, as an index has them."""
    stumbled_before = sa.or_(_C.broken_by < number, _C.broken_by > number)
    folded_before = sa.and_(sa.or_(_C.revision < number, _C.revision > number), _C.broken_by.is_(None))
    return sa.or_(folded_before, stumbled_before)
