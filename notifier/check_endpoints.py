"""`stagepost check` on where webhooks go: addresses that may be posted to, and endpoints that are declared."""

from collections.abc import Iterator
from pathlib import Path

from notifier.channels.public_addresses import Network, url_fault
from notifier.followups import FollowUps
from notifier.settings import WebhooksOnly
from services.checks import Finding, Level, finding_at
from services.contracts.storefront import Storefront
from services.errors import ShopError
from services.shop import YamlFile, read_shop

FILE = "storefronts.yaml"


def endpoints_amiss(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """`source` is followups.yaml. What a setting allows for development is allowed here, too."""
    try:
        storefronts, declared = read_shop(directory)[0].storefronts, YamlFile(directory / FILE)
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    allowed = WebhooksOnly.load().webhooks.allow_private
    for name, storefront in storefronts.items():
        yield from _inside(declared, name, storefront, allowed)
    yield from _undeclared(source, follow_ups, storefronts)


def _inside(declared: YamlFile, name: str, storefront: Storefront, allowed: tuple[Network, ...]) -> Iterator[Finding]:
    for endpoint, said in storefront.endpoints.items():
        if (fault := url_fault(said.url, allowed)) is not None:
            where = (name, "endpoints", endpoint, "url")
            fix = "for development, STAGEPOST_WEBHOOKS__ALLOW_PRIVATE allows networks of your own"
            yield finding_at(declared, where, Level.FAULT, f"a webhook can't go here: it {fault}", fix)


def _undeclared(source: YamlFile, follow_ups: FollowUps, storefronts: dict[str, Storefront]) -> Iterator[Finding]:
    for follow_up in follow_ups.values():
        for step in follow_up.steps:
            if step.endpoint is None:
                continue
            where = (follow_up.name, "steps", step.number - 1, "endpoint")
            at = where if source.holds(where) else (follow_up.name, "endpoint")
            without = [name for name, storefront in storefronts.items() if step.endpoint not in storefront.endpoints]
            if without:
                level = Level.FAULT if len(without) == len(storefronts) else Level.WARNING
                message = f"{', '.join(without)} has no endpoint `{step.endpoint}`"
                yield finding_at(source, at, level, message, f"declare it in {FILE}, under `endpoints:`")
