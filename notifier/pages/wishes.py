"""What the preference page offers: the channels that could reach its reader, and what marketing is about."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.pages.words import Words
from notifier.saying import About
from notifier.shown import locale_of
from notifier.suppression import NOTHING, place_of, standing
from services.contracts.storefront import Storefront, topic_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A box to tick. `name` is as in the consent of a profile; `wanted` is how it stands."""

    name: str
    label: str
    wanted: bool
    topic: bool


async def wishes_of(connection: AsyncConnection, about: About, storefront: Storefront, words: Words) -> list[Wish]:
    """A channel that nothing was said of goes by `assume_consent`; a topic, by its channel."""
    place, profile = place_of(about.storefront, about.address or ""), about.profile
    unopposed = (await standing(connection, [place])).get(place, NOTHING).against(marketing=True) is None
    channels = [
        Wish(
            name=channel,
            label=label,
            wanted=profile.consent.get(channel, storefront.assume_consent) and (channel != "email" or unopposed),
            topic=False,
        )
        for channel, label in words.channels.items()
        if channel == "email" or channel in profile.addresses or channel in profile.consent
    ]
    topics = [
        Wish(
            name=topic_name(topic),
            label=called_in(called, words.lang, storefront),
            wanted=profile.consent.get(topic_name(topic), True),
            topic=True,
        )
        for topic, called in storefront.topics.items()
    ]
    return [*channels, *topics]


def called_in(called: Mapping[str, str], lang: str, storefront: Storefront) -> str:
    """In the page's language, else in the shop's own, else in whichever there is."""
    locale = locale_of(storefront.locale)
    shops = locale.language if locale is not None else storefront.locale
    return called.get(lang) or called.get(shops) or next(text for text in called.values() if text)
