"""What the intake makes of records, before anything is stored."""

from dataclasses import dataclass

from notifier.intake import read
from services.contracts.changes import ChangeType, cloudevent_headers, encode_change
from tests.unit.notifier.builders import NOON, changed, transition


@dataclass
class Said:
    """As Kafka hands it over."""

    epoch: bytes
    topic: str = "customer.stage-changes"
    partition: int = 0
    offset: int = 0
    value: bytes = encode_change(changed(1, transition("abandoned")))

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        made = cloudevent_headers(
            ChangeType.STAGE_CHANGED, event_id="1", storefront="main-shop", subject=None, time=NOON
        )
        return [(name, self.epoch if name == "ce_streamepoch" else value) for name, value in made]


def test_what_a_restored_database_took_back_is_not_taken_in() -> None:
    records = [Said(b"1"), Said(b"2"), Said(b"3")]
    assert len(read(records, NOON, epoch=2).changes) == 2
    assert len(read(records, NOON).changes) == 3


def test_an_epoch_that_is_none_is_a_dead_letter() -> None:
    batch = read([Said(b"soon")], NOON)
    assert (len(batch.dead), batch.changes) == (1, [])
