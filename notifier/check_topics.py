"""`stagepost check` on what marketing is about: whether customers can choose it on their preference page."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from notifier.followups import FollowUps
from services.checks import Finding, Level, finding_at
from services.errors import ShopError
from services.shop import YamlFile, read_shop


def topics_unknown(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """`source` is followups.yaml."""
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    known = sorted({topic for storefront in storefronts.values() for topic in storefront.topics})
    for follow_up in follow_ups.values():
        if follow_up.topic is None:
            continue
        without = [name for name, storefront in storefronts.items() if follow_up.topic not in storefront.topics]
        if without:
            level = Level.FAULT if len(without) == len(storefronts) else Level.WARNING
            message = f"{', '.join(without)} has no topic `{follow_up.topic}`"
            yield finding_at(source, (follow_up.name, "topic"), level, message, _meant(follow_up.topic, known))


def _meant(said: str, known: list[str]) -> str:
    close = [one for one in get_close_matches(said, known, n=1) if one != said]
    declare = "declare it in storefronts.yaml, under `topics:`"
    return f"did you mean `{close[0]}`? Or {declare}" if close else declare
