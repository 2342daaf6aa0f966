"""Clients for Node, unmodified: only their host is ours. Every call arrives once, the right customer's, in its time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from npm import packages, run_module
from visiting import Visit

CLIENTS = Path(__file__).with_name("clients")
Eventually = Callable[..., Awaitable[None]]


@pytest.mark.parametrize("client", ["segment-node", "rudderstack-node"])
async def test_every_call_arrives_once_as_the_right_customer_s_and_in_its_time(
    visit: Visit, eventually: Eventually, tmp_path: Path, client: str
) -> None:
    packages()
    start = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)
    await run_module(script(client), tmp_path, as_env(visit, start=start))

    async def all_came() -> bool:
        return len(await visit.did()) >= 6 and len(await visit.customers(user_id=f"former-{visit.run}")) == 1

    await eventually(all_came)
    happened = await visit.did()
    assert [(event["name"], datetime.fromisoformat(event["at"]) - start) for event in happened] == [
        ("Page Viewed", timedelta(minutes=0)),
        ("Product Viewed", timedelta(minutes=1)),
        ("Customer Identified", timedelta(minutes=2)),
        ("Group Joined", timedelta(minutes=3)),
        ("Order Completed", timedelta(minutes=4)),
        ("Identity Aliased", timedelta(minutes=5)),
    ]
    assert {event["said_by"] for event in happened} == {"server"}
    (customer,) = await visit.customers()
    assert customer["identities"]["email"] == [visit.email]
    assert f"device-{visit.run}" in customer["identities"]["anonymous_id"]
    assert set(customer["identities"]["user_id"]) == {visit.user, f"former-{visit.run}"}
    assert customer["traits"]["first_name"] == "Ann"
    came = await visit.came("lifecycle")
    ordered = happened[4]
    assert (came["cause"]["event_id"], came["at"]) == (ordered["event_id"], ordered["at"])
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "25.00")


async def test_jitsu_s_client_is_heard_on_its_own_paths(visit: Visit, eventually: Eventually, tmp_path: Path) -> None:
    packages()
    start = datetime.now(UTC)
    await run_module(script("jitsu-node"), tmp_path, as_env(visit, start=start))
    names = ["Page Viewed", "Product Viewed", "Customer Identified", "Group Joined", "Order Completed"]

    async def all_came() -> bool:
        return len(await visit.did()) >= len(names)

    await eventually(all_came)
    happened = await visit.did()
    assert sorted(event["name"] for event in happened) == sorted(names)
    assert all(start - timedelta(seconds=1) <= datetime.fromisoformat(event["at"]) for event in happened)
    (customer,) = await visit.customers()
    assert customer["identities"]["email"] == [visit.email]
    assert (customer["facts"]["orders"], customer["facts"]["revenue"]) == (1, "25.00")


def script(client: str) -> str:
    return (CLIENTS / f"{client}.mjs").read_text(encoding="utf-8")


def as_env(visit: Visit, *, start: datetime) -> dict[str, str]:
    return {
        "INGEST": visit.stack["ingest"],
        "WRITE_KEY": visit.stack["write_key"],
        "RUN": visit.run,
        "START": start.isoformat(),
    }
