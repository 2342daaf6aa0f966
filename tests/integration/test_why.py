"""Why a customer stands where they do, asked of the real engine over HTTP and by `stagepost why`."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]


def stagepost_why(stack: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STAGEPOST_POSTGRES__DSN": stack["postgres"]}
    command = [sys.executable, "-m", "services", "why", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


async def asked(visit: Visit, customer: str, **query: str) -> dict[str, Any]:
    answer = await visit.http.get(
        f"{visit.stack['stage_engine']}/v1/customers/{customer}/why",
        params=query,
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def instance(answer: dict[str, Any], track: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in answer["instances"] if one["track"] == track)
    return found


async def test_a_journey_is_explained_now_and_as_of_then(visit: Visit, eventually: Eventually) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    device = f"device-{visit.run}"

    def at(minutes: int) -> str:
        return (start + timedelta(minutes=minutes)).isoformat()

    await visit.post("Product Viewed", user_id=None, anonymous_id=device, occurred_at=at(0))

    async def known_by_device() -> bool:
        return bool(await visit.customers(anonymous_id=device))

    await eventually(known_by_device)
    (before,) = await visit.customers(anonymous_id=device)
    cart, order = {"cart_id": f"c-{visit.run}", **FERN}, {"order_id": f"o-{visit.run}", "total": 10}
    await visit.post("Customer Identified", anonymous_id=device, email=visit.email, occurred_at=at(5))
    await visit.post("Product Added", id=f"add-{visit.run}", properties=cart, occurred_at=at(10))
    await visit.post("Order Completed", id=f"buy-{visit.run}", properties=order, occurred_at=at(20))

    async def bought() -> bool:
        return await visit.stage("lifecycle") == "purchase"

    await eventually(bought)
    (customer,) = await visit.customers()

    now = await asked(visit, before["id"])
    assert now["customer_id"] == customer["id"], "the id of a former root leads on"
    assert now["next"]["text"].startswith("at_risk in 88 d") or now["next"]["text"].startswith("at_risk in 87 d")
    assert now["next"]["text"].endswith("unless an Order Completed")
    lifecycle = instance(now, "lifecycle")
    assert lifecycle["came"]["rule"]["id"] == "lifecycle.purchase[0]"
    assert lifecycle["came"]["facts"] == {"orders": 1}
    assert lifecycle["came"]["cause"] == {
        "event_id": f"buy-{visit.run}",
        "name": "Order Completed",
        "at": at(20).replace("+00:00", "Z"),
        "said_by": "server",
    }

    then = await asked(visit, customer["id"], at=at(15))
    assert instance(then, "lifecycle")["stage"] == "consideration"
    cart_then = instance(then, "cart")
    assert (cart_then["stage"], cart_then["came"]["rule"]["id"]) == ("abandoned", "cart.abandoned[0]")
    assert cart_then["came"]["cause"]["event_id"] == f"add-{visit.run}", "what armed the time is its cause"
    assert then["next"] is None, "time alone moves neither"

    said = stagepost_why(visit.stack, "--user-id", visit.user)
    assert said.returncode == 0, said.stderr
    lines = [line.rstrip() for line in said.stdout.splitlines()]
    assert lines[0].split() == [visit.user, "and", visit.email, "·", "test-shop", customer["id"]]
    assert f"  by  Order Completed buy-{visit.run}, from consideration" in lines
    assert "      1st `enter` of `purchase`: on Order Completed, when facts.orders == 1 (orders was 1)" in lines
    assert max(map(len, lines)) <= 100

    as_json = stagepost_why(visit.stack, before["id"], "--at", at(15), "--json")
    (told,) = json.loads(as_json.stdout)["customers"]
    assert told == {**then, "messages": []}, "over Postgres as over HTTP"


async def test_what_they_were_sent_and_what_not_is_said_beside(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})

    async def says(line: str) -> bool:
        said = await asyncio.to_thread(stagepost_why, visit.stack, "--user-id", visit.user)
        return line in said.stdout

    await eventually(
        lambda: says("abandoned-cart by email  withheld\n      nobody has told us an address (no_address)")
    )
    await visit.post("Customer Identified", email=visit.email)
    await eventually(lambda: says("abandoned-cart by email  sent"))


async def test_a_cart_that_waits_says_until_when(visit: Visit, eventually: Eventually) -> None:
    await visit.post("Product Added", id=f"add-{visit.run}", properties={"cart_id": f"c-{visit.run}", **FERN})

    async def known() -> bool:
        return bool(await visit.customers())

    await eventually(known)
    (customer,) = await visit.customers()
    added_at = instance(await asked(visit, customer["id"]), "cart")["since"]
    then = await asked(visit, customer["id"], at=added_at)
    (abandoned,) = [way for way in instance(then, "cart")["ways"] if way["by"] == "time"]
    assert (abandoned["to"], abandoned["clock"]) == ("abandoned", "running")
    assert [part["says"] for part in abandoned["conditions"]] == ["size(cart.items) > 0: 1 item now"]
    assert abandoned["armed_by"]["event_id"] == f"add-{visit.run}"
    assert abandoned["text"] == ("in 2 s unless something done with this cart, an Order Completed or an Order Reported")


def test_whom_nobody_knows_and_what_nobody_can_mean_is_said_in_a_sentence(stack: dict[str, str]) -> None:
    nobody = stagepost_why(stack, "--email", "nobody@example.com")
    assert (nobody.returncode, nobody.stderr) == (2, "stagepost why: nobody is known by email nobody@example.com\n")
    elsewhere = stagepost_why(stack, "--user-id", "u1", "--storefront", "main")
    assert (elsewhere.returncode, elsewhere.stdout) == (2, "")
    assert "there is no storefront `main`; there are: test-shop" in elsewhere.stderr
    two = stagepost_why(stack, "--user-id", "u1", "--email", "ann@example.com")
    assert (two.returncode, "name one customer" in two.stderr) == (2, True)


async def test_a_customer_whom_nobody_has_heard_of_is_not_found(visit: Visit) -> None:
    answer = await visit.http.get(
        f"{visit.stack['stage_engine']}/v1/customers/00000000-0000-0000-0000-000000000000/why",
        headers={"Authorization": f"Bearer {visit.stack['operator_key']}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
