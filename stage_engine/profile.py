"""What is known of a customer beside the stages: traits, addresses, consent. Pure.

A browser may stop mail; it may not start it, nor aim it beyond one: what it says of an address is a claim, kept only
while no server has given one, and its traits never become the text of a mail.
"""

import msgspec

from services.contracts.changes import Address, Profile
from services.contracts.events import Event, Name, SaidBy
from services.contracts.identity import IdentityKind, names_nobody, normalised

MAX_TRAITS = 200
CHANNELS = {"email": IdentityKind.EMAIL, "sms": IdentityKind.PHONE}


def profile_after(profile: Profile, event: Event) -> Profile:
    traits, claims = profile.traits, profile.claims
    if event.traits:
        if event.said_by is SaidBy.SERVER:
            traits = _merged(traits, event.traits)
        else:
            claims = _merged(claims, event.traits)
    addresses = _addresses_after(profile.addresses, event)
    consent = _consent_after(profile.consent, event)
    if (traits, claims, addresses, consent) == (profile.traits, profile.claims, profile.addresses, profile.consent):
        return profile
    return Profile(traits=traits, claims=claims, addresses=addresses, consent=consent)


def _merged(before: dict[str, object], said: dict[str, object]) -> dict[str, object]:
    """The later word on a trait holds; null takes it away."""
    merged = {**before, **said}
    return {key: value for key, value in list(merged.items())[:MAX_TRAITS] if value is not None}


def _addresses_after(before: dict[str, Address], event: Event) -> dict[str, Address]:
    after = before
    for channel, kind in CHANNELS.items():
        said = getattr(event.who, kind.field)
        if said is None or names_nobody(said):
            continue
        known = before.get(channel)
        if event.said_by is SaidBy.BROWSER and known is not None and known.said_by is SaidBy.SERVER:
            continue
        address = Address(value=normalised(kind, said), said_by=event.said_by)
        if address != known:
            after = {**after, channel: address}
    return after


def _consent_after(before: dict[str, bool], event: Event) -> dict[str, bool]:
    if event.name == Name.EMAIL_UNSUBSCRIBED:
        return {**before, "email": False}
    if event.name == Name.EMAIL_SUBSCRIBED and event.said_by is SaidBy.SERVER:
        return {**before, "email": True}
    return before


EMPTY = Profile()


def shown_traits(profile: Profile) -> dict[str, object]:
    """A server's word goes before a browser's."""
    return msgspec.to_builtins({**profile.claims, **profile.traits})  # type: ignore[no-any-return]
