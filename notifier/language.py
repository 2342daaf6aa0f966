"""Which language a customer is written to in. Pure.

Their own, if there are words in it; else the storefront's; else English, which is always there. That a browser may say
it does no harm: it chooses among the shop's languages and adds no word.
"""

from collections.abc import Collection
from typing import Final

from babel.core import Locale

from notifier.shown import locale_of
from services.contracts.changes import Profile
from services.contracts.storefront import Storefront

ALWAYS: Final = "en"
_TRAITS: Final = ("locale", "language")


def language_for(profile: Profile, storefront: Storefront, languages: Collection[str]) -> Locale:
    """`languages` are those that there are words in, as `de`."""
    said = [held.get(name) for held in (profile.traits, profile.claims) for name in _TRAITS]
    for name in (*said, storefront.locale):
        found = locale_of(name) if isinstance(name, str) else None
        if found is not None and found.language in languages:
            return found
    return Locale(ALWAYS)


def chain(locale: Locale) -> tuple[str, ...]:
    """Where words are looked for, in turn: `de-AT`, `de`, `en`."""
    tags = (str(locale).replace("_", "-"), locale.language, ALWAYS)
    return tuple(dict.fromkeys(tags))
