"""Our records, read by the CloudEvents SDK of the people who wrote the standard."""

from datetime import UTC, datetime
from uuid import UUID

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from services.contracts.changes import (
    ChangeType,
    CustomerStanding,
    CustomerUpdated,
    KnownUntil,
    Profile,
    cloudevent_headers,
    decode_change,
    encode_change,
    epoch_of,
)
from stage_engine.outbox import record_of
from stage_engine.snapshots import record_of as snapshot_of

ANN = UUID("49d88992-31d8-5d52-b110-01b0f3e30a67")
NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


class Row:
    """As the outbox holds it."""

    customer_id = ANN
    sequence = 7
    storefront = "main-shop"
    type = "customer.updated"
    value = encode_change(
        CustomerUpdated(
            storefront="main-shop", customer_id=ANN, sequence=7, profile=Profile(traits={"first_name": "Zoë"})
        )
    )
    made_at = NOON
    epoch = 2


def test_the_sdk_reads_a_change() -> None:
    record = record_of(Row())
    event = from_binary(
        KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b""), JSONFormat()
    )
    assert event.get_attributes() == {
        "specversion": "1.0",
        "id": f"{ANN}/7",
        "source": "/stagepost/main-shop",
        "type": "customer.updated",
        "time": NOON,
        "dataschema": "urn:stagepost:customer.updated:1",
        "subject": str(ANN),
        "partitionkey": str(ANN),
        "streamepoch": "2",
        "datacontenttype": "application/json",
    }
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["profile"]["traits"] == {"first_name": "Zoë"}


def test_the_sdk_reads_that_all_is_known_up_to_a_time() -> None:
    headers = cloudevent_headers(ChangeType.KNOWN_UNTIL, event_id="x", storefront="", subject=None, time=NOON)
    value = encode_change(KnownUntil(known_until=NOON))
    event = from_binary(KafkaMessage(headers=dict(headers), key=None, value=value), JSONFormat())
    assert (event.get_type(), event.get_data()) == ("known.until", {"known_until": "2026-03-02T12:00:00.250000Z"})


def test_the_sdk_reads_where_a_customer_stands() -> None:
    standing = CustomerStanding(
        storefront="main-shop", customer_id=ANN, sequence=7, part_of=None, profile=Profile(), hold=None, table=[]
    )
    record = snapshot_of(standing, epoch=1, now=NOON)
    event = from_binary(
        KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value or b""), JSONFormat()
    )
    assert (event.get_type(), event.get_id()) == ("customer.standing", f"{ANN}/7")
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["sequence"] == 7


def test_a_repeat_has_the_same_bytes() -> None:
    assert record_of(Row()) == record_of(Row())


def test_our_own_reader_reads_it_too() -> None:
    record = record_of(Row())
    change = decode_change(record.headers, record.value or b"")
    assert isinstance(change, CustomerUpdated)
    assert (change.sequence, epoch_of(record.headers)) == (7, 2)
    assert epoch_of([("ce_type", b"x")]) == 1, "what says no epoch is of the first"
