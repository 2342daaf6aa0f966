"""What stands under `facts:`, as the fold uses it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from services.conditions import Kind, Names
from services.contracts.events import Name
from stage_engine.model.limits import LONGEST_SPAN, MOST_POINTS, SHORTEST_WINDOW, name_fault
from stage_engine.model.model import Fact, FactKind
from stage_engine.model.schema import FactWritten, names
from stage_engine.model.source import Source, Where

ORDER_KEY = "order_id"
AMOUNTS = ("revenue", "total")
MONEY: Final = frozenset(
    {"amount", "discount", "price", "refund", "revenue", "shipping", "subtotal", "tax", "total", "value"}
)
"""What properties of money are called. Others are numbers: of a quantity the currency does not matter."""
PRODUCTS = "products"
"""`products.sku` is the sku of each product that an event lists."""
_NEEDS_NO_OF = (FactKind.COUNT, FactKind.LATEST, FactKind.POINTS)
_SLIDES = (FactKind.COUNT, FactKind.SUM, FactKind.MIN, FactKind.MAX, FactKind.DISTINCT, FactKind.POINTS)
_TAKES_BACK = (FactKind.COUNT, FactKind.SUM, FactKind.DISTINCT)
_NUMBERS = (FactKind.SUM, FactKind.MIN, FactKind.MAX)
_KINDS: Final[Mapping[FactKind, Kind]] = {
    FactKind.COUNT: "int",
    FactKind.DISTINCT: "int",
    FactKind.POINTS: "int",
    FactKind.LATEST: "timestamp",
}


def kind_of(fact: Fact) -> Kind:
    """What a condition finds where it names the fact."""
    if fact.by is not None:
        return "map"
    if fact.kind in _NUMBERS:
        return "money" if fact.money else "float"
    return _KINDS.get(fact.kind, "any")


def read_fact(source: Source, name: str, spec: FactWritten) -> Fact | None:
    where = ["facts", name]
    if fault := name_fault(name):
        source.fault(where, fault)
    kinds = [kind for kind in FactKind if getattr(spec, kind) is not None]
    if len(kinds) != 1:
        fix = "make a fact of each" if kinds else "write what it counts, as in `count: Product Viewed`"
        source.fault(where, f"`{name}` needs exactly one of {', '.join(FactKind)}; {fix}")
        return None
    kind = kinds[0]
    if kind not in _NEEDS_NO_OF and spec.of is None:
        source.fault(where, f"`{name}` needs `of:`, the property it looks at; write it, as in `of: score`")
        return None
    if kind in _NEEDS_NO_OF and spec.of is not None:
        source.fault([*where, "of"], f"`{kind}` looks at no property; leave `of` out{_of_hint(kind)}")
    weights = spec.points or {}
    on = frozenset(weights if kind is FactKind.POINTS else names(getattr(spec, kind)))
    _listen(source, [*where, kind], on, weights)
    per_order = _per_order(source, where, spec, kind, on)
    of, by, each = _paths(source, where, spec)
    return Fact(
        name=name,
        kind=kind,
        on=on,
        of=spec.of,
        path=of,
        by=by,
        each=each,
        less=frozenset() if per_order else _less(source, where, spec, kind, on),
        weights=weights,
        where=source.condition([*where, "where"], spec.where, Names(open=frozenset({"event"}))),
        within=_within(source, where, spec, kind),
        money=kind in _NUMBERS and of[-1:] != () and of[-1] in MONEY,
        per_order=per_order,
        less_refunds=per_order and spec.less is not None,
    )


def _of_hint(kind: FactKind) -> str:
    return {FactKind.COUNT: ", or write `sum`, `distinct` or `by`", FactKind.LATEST: ", or write `last`"}.get(kind, "")


def _listen(source: Source, where: Where, on: frozenset[str], weights: Mapping[str, int]) -> None:
    source.events(where, sorted(on))
    if Name.ORDER_REPORTED in on:
        source.fault(
            where, "`Order Reported` is a browser's word of an order: it counts in no fact; write `Order Completed`"
        )
    for event, weight in weights.items():
        if abs(weight) > MOST_POINTS:
            source.fault([*where, event], f"an event weighs at most {MOST_POINTS:,} points")


def _paths(source: Source, where: Where, spec: FactWritten) -> tuple[tuple[str, ...], tuple[str, ...] | None, bool]:
    """`of` and `by` as paths, within each product where one of them begins with `products.`."""
    written = {key: tuple(said.split(".")) for key in ("of", "by") if (said := getattr(spec, key)) is not None}
    for key, path in written.items():
        if not all(path):
            source.fault([*where, key], "a path is names with points between them, as in `shipping.method`")
    each = {key for key, path in written.items() if path[0] == PRODUCTS}
    for key in written.keys() - each if each else ():
        fix = f"write `{key}: {PRODUCTS}.{'.'.join(written[key])}`"
        source.fault([*where, key], f"of products, `of` and `by` are both of a product; {fix}")
    for key in each:
        if len(written[key]) == 1:
            source.fault([*where, key], f"say what of a product, as in `{PRODUCTS}.product_id`")
    paths = {key: path[1:] if key in each else path for key, path in written.items()}
    return paths.get("of", ()), paths.get("by"), bool(each)


def _within(source: Source, where: Where, spec: FactWritten, kind: FactKind) -> timedelta | None:
    within = source.duration([*where, "within"], spec.within, least=SHORTEST_WINDOW, most=LONGEST_SPAN)
    if spec.within is not None and kind not in _SLIDES:
        source.fault(
            [*where, "within"],
            f"`{kind}` is one event's and slides in no window; `within` goes with {', '.join(_SLIDES)}",
        )
    if within is not None and spec.less is not None and spec.once_per is None:
        source.fault([*where, "less"], "`less` and `within` don't go together: what is taken back may be older")
    return within


def _less(source: Source, where: Where, spec: FactWritten, kind: FactKind, on: frozenset[str]) -> frozenset[str]:
    less = frozenset(names(spec.less))
    if Name.ORDER_REFUNDED in less:
        source.fault([*where, "less"], "refunds belong to an order; `less` goes with `once_per: order_id`")
    elif less and kind is FactKind.POINTS:
        source.fault([*where, "less"], "points are taken off by points below nothing, as in `Order Cancelled: -5`")
    elif less and kind not in _TAKES_BACK and spec.by is None:
        source.fault([*where, "less"], f"`less` goes with {', '.join(_TAKES_BACK)}, or with `by`")
    for both in sorted(less & on):
        source.fault([*where, "less"], f"`{both}` can't both add and take away")
    return less


def _per_order(source: Source, where: Where, spec: FactWritten, kind: FactKind, on: frozenset[str]) -> bool:
    """Whether it reads the order book: of how an order got there nothing is left to look at but its amounts."""
    orders = on == {Name.ORDER_COMPLETED}
    if spec.once_per is None:
        plain = spec.where is None and spec.by is None and spec.less is None
        return kind is FactKind.DISTINCT and orders and spec.of == ORDER_KEY and plain
    if spec.once_per != ORDER_KEY or kind is not FactKind.SUM or not orders or spec.of not in AMOUNTS:
        source.fault(
            [*where, "once_per"],
            "nothing else is counted once yet;"
            f" `once_per: order_id` goes with `sum: Order Completed` and `of: {' or '.join(AMOUNTS)}`",
        )
    if spec.where is not None:
        source.fault(
            [*where, "where"], "an order's copies are one here, so `where` has no single event to look at; take it out"
        )
    if spec.by is not None:
        source.fault(
            [*where, "by"], "an order's copies are one here, so `by` has no single event to look at; take it out"
        )
    if spec.less is not None and names(spec.less) != (Name.ORDER_REFUNDED,):
        source.fault([*where, "less"], "only `less: Order Refunded` can be; a cancelled order brings nothing anyway")
    return True
