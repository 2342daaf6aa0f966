"""Whether a call may go on: not when its storefront or its client is too fast, and not when there is no room for it."""

from contextlib import AbstractContextManager
from datetime import datetime

from ingest import measures
from ingest.clients import Client, household_of
from ingest.rates import Rate, Rates, Wait, Whose
from ingest.room import Held, Room
from ingest.settings import InFlightSettings, RateSettings
from ingest.storefronts import Source
from services.contracts.events import SaidBy
from services.errors import TooMany


class Gate:
    def __init__(self, rates: RateSettings, in_flight: InFlightSettings) -> None:
        self._rates = Rates(
            storefront=Rate(events=rates.storefront_events, burst=rates.storefront_burst),
            client=Rate(events=rates.client_events, burst=rates.client_burst),
        )
        self._room = Room(in_flight.max_bytes, in_flight.storefront_share, measures.no_room)
        measures.watch_room(lambda: self._room.taken, in_flight.max_bytes)

    def room_for(self, source: Source | None, client: Client | None) -> AbstractContextManager[Held]:
        """For one call, until it is answered. Raises Unavailable, then or as the call grows."""
        return self._room.held(source.storefront if source else None, "" if client is None else household_of(client))

    def check(self, source: Source, client: Client | None, now: datetime) -> None:
        """Raises TooMany."""
        if (wait := self._rates.wait(source.storefront, _limited(source, client), now)) is not None:
            measures.held_back(source.storefront, wait.whose).inc()
            raise TooMany(_said(wait), code=f"{wait.whose}_too_fast", retry_after=wait.seconds)

    def spend(self, source: Source, client: Client | None, events: int, now: datetime) -> None:
        """A call without any counts as one."""
        self._rates.spend(source.storefront, _limited(source, client), max(events, 1), now)


def _limited(source: Source, client: Client | None) -> str | None:
    """A shop's own server is one client for all of its customers: it has its storefront's limit only."""
    return household_of(client) if client is not None and source.said_by is SaidBy.BROWSER else None


def _said(wait: Wait) -> str:
    whose = "this address" if wait.whose is Whose.CLIENT else "this storefront"
    return (
        f"{whose} sends more than {wait.rate.events} events a second, and has used up its burst of {wait.rate.burst}; "
        "send the same again when Retry-After says"
    )
