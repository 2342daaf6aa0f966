"""`segment-analytics-python` 2.4.0, unmodified: only its host is ours."""

from collections.abc import Awaitable, Callable

from segment.analytics.client import Client
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]


async def test_an_unmodified_segment_client_drives_a_cart_to_a_reminder(visit: Visit, eventually: Eventually) -> None:
    faults: list[object] = []
    client = Client(
        visit.stack["write_key"],
        host=visit.stack["ingest"],
        on_error=lambda error, batch: faults.append((error, batch)),
        upload_interval=0.1,
    )
    client.identify(visit.user, {"email": visit.email, "firstName": "Ann"})
    client.track(visit.user, "Product Viewed", {"product_id": "fern"})
    client.track(visit.user, "Product Added", {"cart_id": f"c-{visit.run}", **FERN})
    client.flush()
    client.join()

    async def reminded() -> bool:
        return len(await visit.mails()) == 1

    await eventually(reminded)
    assert faults == []
    (customer,) = await visit.customers()
    assert customer["identities"]["email"] == [visit.email]
    assert customer["traits"]["firstName"] == "Ann"
    assert customer["facts"]["views_7d"] == 1
    assert [cart["stage"] for cart in customer["tracks"]["cart"]] == ["abandoned"]
