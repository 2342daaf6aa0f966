"""The order in which the shop's model lists its stages, and how many stand in each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from console.queries import StageCount
from services.shop import Shop, plain

LIFECYCLE: Final = "lifecycle"

BESIDE: Final[Mapping[str, Sequence[str]]] = {
    "cart": ("active", "abandoned", "ordered"),
    "checkout": ("begun", "failed", "abandoned", "completed"),
    "order": ("placed", "shipped", "delivered", "refunded", "cancelled"),
    "satisfaction": ("neutral", "happy", "promoter", "unhappy"),
    "newsletter": ("subscribed", "unsubscribed"),
    "opt_in": ("asked", "confirmed"),
    "onboarding": ("started", "stalled", "finished"),
}
"""The tracks that all presets share."""
SHARED: Final = "parts/groundwork"
"""What a shop extends to have these beside a lifecycle of its own."""

SILENT: Final = ("at_risk", "churned")
LIFECYCLES: Final[Mapping[str, Sequence[str]]] = {
    "seven-stage": ("awareness", "interest", "consideration", "purchase", "post_purchase", "retention", "advocacy"),
    "five-stage-reach": ("reach", "acquisition", "conversion", "retention", "loyalty"),
    "six-stage": ("awareness", "consideration", "conversion", "post_purchase", "retention", "advocacy"),
    "crm": ("awareness", "consideration", "purchase", "retention", "loyalty"),
    "sales-cycle": ("identify", "reach_out", "engage", "close", "follow_up"),
}
PRESETS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    name: {LIFECYCLE: (*stages, *SILENT), **BESIDE} for name, stages in LIFECYCLES.items()
}
"""The stage engine's presets, of which the console needs the order only. A test holds them against each other."""

OF_CUSTOMERS: Final = frozenset({LIFECYCLE, "satisfaction", "newsletter", "opt_in", "onboarding"})
"""Tracks with one instance a customer; of the others each cart, each order counts."""

Order = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`share` is in percent of the strip's largest."""

    stage: str
    count: int
    share: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    track: str
    counted: str
    bars: list[Bar]


def order_of(shop: Shop) -> Order:
    """Tracks and their stages as `lifecycle.yaml` and the preset under it list them. Raises ShopError for no YAML."""
    written = plain(shop.file("lifecycle.yaml").mapping())
    extended = str(written.get("extends"))
    under = {LIFECYCLE: (), **BESIDE} if extended == SHARED else PRESETS.get(extended, {})
    order = {track: list(stages) for track, stages in under.items()}
    for track, said in written.get("tracks", {}).items():
        known = order.setdefault(track, [])
        known.extend(stage for stage in said.get("stages", {}) if stage not in known)
    return order


def strips(order: Order, storefront: str, counts: Iterable[StageCount]) -> list[Strip]:
    """One for each track, the lifecycle first; a stage that the model no longer has comes last while it is peopled."""
    found = {(c.track, c.stage): c for c in counts if c.storefront == storefront}
    tracks = sorted({*order, *(track for track, _ in found)}, key=lambda track: (track != LIFECYCLE, track))
    return [_strip(track, order.get(track, ()), found) for track in tracks]


def _strip(track: str, listed: Sequence[str], found: Mapping[tuple[str, str], StageCount]) -> Strip:
    left = sorted(stage for of, stage in found if of == track and stage not in listed)
    numbers = {
        stage: (row.customers if track in OF_CUSTOMERS else row.instances) if (row := found.get((track, stage))) else 0
        for stage in (*listed, *left)
    }
    most = max(numbers.values(), default=0) or 1
    return Strip(
        track=track,
        counted="customers" if track in OF_CUSTOMERS else f"{track}s",
        bars=[Bar(stage=stage, count=count, share=_percent(count, most)) for stage, count in numbers.items()],
    )


def _percent(count: int, most: int) -> int:
    """At least 1 for anybody at all: a bar that can't be seen says nobody is there."""
    return max(1, round(100 * count / most)) if count else 0
