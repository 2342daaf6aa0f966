"""Files of old events, shaped without a broker: what `stagepost import` would send of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ingest.history.load import MappingFile, find_mapping
from ingest.history.rows import HistoryFile, name_of
from ingest.history.shaping import Fault, LeftOut, Made, Shaped, Shaper, Telling
from services.contracts.events import Event, decode_event
from services.contracts.storefront import Sender, Storefront

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHOP = Storefront(
    name="Shop",
    url="https://shop.example",
    currency="EUR",
    timezone="Europe/Berlin",
    sender=Sender(name="Shop", email="hello@shop.example"),
    own_addresses=["Till@shop.example"],
)


@dataclass(slots=True)
class Came:
    """What came of a file."""

    events: list[Event] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def fault(self) -> str:
        ((_, why),) = self.faults
        return why


def shaped(
    path: Path, mapping: str | Path, *, storefront: Storefront = SHOP, name: str = "shop", prefix: str = ""
) -> Came:
    came = Came()
    for one in shape(path, mapping, storefront=storefront, name=name, prefix=prefix):
        match one:
            case Made():
                came.events.append(decode_event(one.record.value or b""))
            case LeftOut():
                came.left_out.append(one.because)
            case Fault():
                came.faults.append((one.line, one.why))
    return came


def shape(
    path: Path, mapping: str | Path, *, storefront: Storefront = SHOP, name: str = "shop", prefix: str = ""
) -> Iterator[Shaped]:
    written = MappingFile(find_mapping(str(mapping)), storefront.timezone)
    file = HistoryFile(path, written.format)
    telling = Telling(storefront=name, declared=storefront, file=name_of(path), id_prefix=prefix, began=BEGAN)
    shaper = Shaper(written.compiled(file.columns), telling)
    try:
        for row in file.rows():
            yield from shaper.take(row)
        yield from shaper.end()
    finally:
        file.close()


def by_name(events: Iterable[Event]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for event in events:
        counts[event.name] = counts.get(event.name, 0) + 1
    return counts
