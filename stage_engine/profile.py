"""What is known of a customer beside the stages: traits, addresses, consent. Pure.

A browser may stop mail; it may not start it, nor aim it beyond one: what it says of an address is a claim, kept only
while no server has given one, and its traits never become the text of a mail. Whoever answers a mail has its address: a
click that the notifier says was theirs makes an address of the claim.
"""

import re
from collections.abc import Iterator
from itertools import islice

from services.contracts.changes import Address, Profile
from services.contracts.events import Event, Name, SaidBy, is_of_a_message
from services.contracts.identity import IdentityKind
from services.contracts.storefront import TOPIC, topic_name

MAX_TRAITS = 200
CHANNELS = {"email": IdentityKind.EMAIL, "sms": IdentityKind.PHONE}
CONSENTED = ("email", "sms", "push", "webhook")
"""The channels that somebody can say yes or no to marketing on."""
MOST_TOPICS_SAID = {SaidBy.BROWSER: 100, SaidBy.SERVER: 200}
"""Of one customer: shops rename their topics. Anybody's page may refuse any, and leaves room for a server's word."""
_TOPIC = re.compile(topic_name(TOPIC))


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
    """The later word on a trait holds; null takes it away. Sorted, since Postgres keeps keys in an order of its own."""
    merged = {**before, **dict(sorted(said.items()))}
    return dict(islice(((key, value) for key, value in merged.items() if value is not None), MAX_TRAITS))


def _addresses_after(before: dict[str, Address], event: Event) -> dict[str, Address]:
    if is_of_a_message(event):
        return _confirmed(before, event)
    after = before
    for channel, kind in CHANNELS.items():
        said = getattr(event.who, kind.field)  # an address of somebody: that was decided when the event was stored
        if said is None:
            continue
        known = before.get(channel)
        if event.said_by is SaidBy.BROWSER and known is not None and known.said_by is SaidBy.SERVER:
            continue
        if known is not None and (known.value, known.said_by) == (said, event.said_by):
            continue  # a claim that is repeated stays where it first came from
        network = event.network if event.said_by is SaidBy.BROWSER else None
        after = {**after, channel: Address(value=said, said_by=event.said_by, network=network)}
    return after


def _confirmed(before: dict[str, Address], event: Event) -> dict[str, Address]:
    """A claim that was mailed and clicked is an address, unless it has been another since."""
    known = before.get("email")
    if event.name != Name.MESSAGE_CLICKED or known is None or event.properties.get("address") != known.value:
        return before
    confirmed = Address(value=known.value, said_by=SaidBy.SERVER)
    return before if confirmed == known else {**before, "email": confirmed}


def _consent_after(before: dict[str, bool], event: Event) -> dict[str, bool]:
    said = {name: yes for name, yes in _said_of_consent(event) if not yes or event.said_by is SaidBy.SERVER}
    if not said:
        return before
    topics = sum(_TOPIC.fullmatch(name) is not None for name in before)
    new = [name for name in said if name not in before and _TOPIC.fullmatch(name)]
    beyond = frozenset(new[max(MOST_TOPICS_SAID[event.said_by] - topics, 0) :])
    return {**before, **{name: yes for name, yes in said.items() if name not in beyond}}


def _said_of_consent(event: Event) -> Iterator[tuple[str, bool]]:
    """By the trait `consent`, `{"sms": true, "topic:news": false}`; of email by events of its own, the later word."""
    of_each = event.traits.get("consent")
    if isinstance(of_each, dict):
        topics = sorted(name for name in of_each if _TOPIC.fullmatch(name))
        yield from ((name, of_each[name]) for name in (*CONSENTED, *topics) if isinstance(of_each.get(name), bool))
    if event.name == Name.EMAIL_UNSUBSCRIBED:
        yield "email", False
    if event.name == Name.EMAIL_SUBSCRIBED:
        yield "email", True


EMPTY = Profile()


def shown_traits(profile: Profile) -> dict[str, object]:
    """A server's word goes before a browser's."""
    return {**profile.claims, **profile.traits}
