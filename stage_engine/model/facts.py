"""What stands under `facts:`, as the fold uses it."""

from services.conditions import Names
from services.contracts.events import Name
from stage_engine.model.model import Fact, FactKind
from stage_engine.model.schema import FactWritten, names
from stage_engine.model.source import Source, Where

ORDER_KEY = "order_id"
AMOUNTS = ("revenue", "total")


def read_fact(source: Source, name: str, spec: FactWritten) -> Fact | None:
    where = ["facts", name]
    kinds = [kind for kind in FactKind if getattr(spec, kind) is not None]
    if len(kinds) != 1:
        source.fault(where, f"`{name}` needs exactly one of {', '.join(FactKind)}")
        return None
    kind = kinds[0]
    needs_of = kind not in (FactKind.COUNT, FactKind.LATEST)
    if needs_of and spec.of is None:
        source.fault(where, f"`{name}` needs `of:`, the property it looks at")
        return None
    on = frozenset(names(getattr(spec, kind)))
    if Name.ORDER_REPORTED in on:
        source.fault([*where, kind], "`Order Reported` is a browser's word of an order: it counts in no fact")
    if spec.within is not None and kind is not FactKind.COUNT:
        source.fault([*where, "within"], "`within` goes with `count`")
    return Fact(
        name=name,
        kind=kind,
        on=on,
        of=spec.of,
        where=source.condition([*where, "where"], spec.where, Names(open=frozenset({"event"}))),
        within=source.duration([*where, "within"], spec.within),
        per_order=_per_order(source, where, spec, kind, on),
        less_refunds=spec.less is not None,
    )


def _per_order(source: Source, where: Where, spec: FactWritten, kind: FactKind, on: frozenset[str]) -> bool:
    """Whether it reads the order book: of how an order got there nothing is left to look at but its amounts."""
    orders = on == {Name.ORDER_COMPLETED}
    if spec.once_per is None:
        if spec.less is not None:
            source.fault([*where, "less"], "`less` goes with `once_per: order_id`: refunds belong to an order")
        return kind is FactKind.DISTINCT and orders and spec.of == ORDER_KEY and spec.where is None
    if spec.once_per != ORDER_KEY or kind is not FactKind.SUM or not orders or spec.of not in AMOUNTS:
        source.fault(
            [*where, "once_per"],
            f"`once_per: order_id` goes with `sum: Order Completed` and `of: {' or '.join(AMOUNTS)}`;"
            " nothing else is counted once yet",
        )
    if spec.where is not None:
        source.fault([*where, "where"], "an order's copies are one here, so `where` has no single event to look at")
    if spec.less is not None and names(spec.less) != (Name.ORDER_REFUNDED,):
        source.fault([*where, "less"], "only `less: Order Refunded` can be; a cancelled order brings nothing anyway")
    return True
