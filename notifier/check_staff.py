"""`stagepost check` on what goes to the shop's own people: whether every storefront says who they are."""

from collections.abc import Iterator
from pathlib import Path

from notifier.followups import FollowUps
from services.checks import Finding, Level, finding_at
from services.errors import ShopError
from services.shop import YamlFile, read_shop


def staff_unknown(directory: Path, source: YamlFile, follow_ups: FollowUps) -> Iterator[Finding]:
    """`source` is followups.yaml."""
    try:
        storefronts = read_shop(directory)[0].storefronts
    except ShopError:
        return  # told of by whoever looks at storefronts.yaml
    without = [name for name, storefront in storefronts.items() if storefront.staff is None]
    for follow_up in follow_ups.values() if without else ():
        if any(step.to_staff for step in follow_up.steps):
            level = Level.FAULT if len(without) == len(storefronts) else Level.WARNING
            message = f"{', '.join(without)} does not say who is told"
            yield finding_at(source, (follow_up.name,), level, message, "write their address as `staff:` of it")
