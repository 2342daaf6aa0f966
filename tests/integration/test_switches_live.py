"""A kill switch on real processes: said by a command or over HTTP, obeyed by the notifier that runs, told by both."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from visiting import FERN, Visit

Eventually = Callable[..., Awaitable[None]]
REMINDER = "abandoned-cart"


def stagepost(stack: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STAGEPOST_POSTGRES__DSN": stack["postgres"], "COLUMNS": "200"}
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


async def switches(visit: Visit, method: str = "GET", **said: Any) -> httpx.Response:  # noqa: ANN401  any of httpx's
    headers = {"Authorization": f"Bearer {visit.stack['operator_key']}"}
    return await visit.http.request(method, f"{visit.stack['notifier']}/v1/switches", headers=headers, **said)


async def leave_a_cart(visit: Visit) -> None:
    await visit.post("Customer Identified", email=visit.email)
    await visit.post("Product Added", properties={"cart_id": f"c-{visit.run}", **FERN})


def stands(visit: Visit, status: str, reason: str | None) -> Callable[[], Awaitable[bool]]:
    """Whether this customer's one message stands so."""

    async def look() -> bool:
        found = await visit.messages() if await visit.customers() else []
        return [(one["follow_up"], one["status"], one["reason"]) for one in found] == [(REMINDER, status, reason)]

    return look


async def test_what_a_command_pauses_is_told_over_http_holds_mail_back_and_goes_once_it_is_resumed(
    visit: Visit, eventually: Eventually
) -> None:
    paused = await asyncio.to_thread(
        stagepost, visit.stack, "pause", REMINDER, "--why", "the coupon is wrong", "--by", "ada"
    )
    try:
        assert paused.returncode == 0, paused.stderr
        assert paused.stdout.startswith(f"Paused: follow-up {REMINDER}.")
        (told,) = (await switches(visit)).json()["switches"]
        assert {name: told[name] for name in ("scope", "name", "by", "why", "until")} == {
            "scope": "follow_up",
            "name": REMINDER,
            "by": "ada",
            "why": "the coupon is wrong",
            "until": None,
        }
        await leave_a_cart(visit)
        await eventually(stands(visit, "pending", "paused"))
        (message,) = await visit.messages()
        assert message["reason_in_words"] == "it is paused; `stagepost switches` says by whom and why"
        assert await visit.mails() == []
        listed = stagepost(visit.stack, "switches").stdout
        assert f"follow-up {REMINDER}" in listed
        assert "the coupon is wrong" in listed
    finally:
        resumed = await asyncio.to_thread(stagepost, visit.stack, "resume", REMINDER)
    assert resumed.returncode == 0, resumed.stderr
    await eventually(stands(visit, "sent", None))
    assert len(await visit.mails()) == 1
    assert stagepost(visit.stack, "switches").stdout == "Nothing is paused.\n"


async def test_what_is_paused_over_http_is_told_and_resumed_by_commands(visit: Visit, eventually: Eventually) -> None:
    wanted = {"scope": "storefront", "name": "test-shop", "why": "prices are wrong", "by": "ben"}
    made = await switches(visit, "POST", json=wanted)
    try:
        assert (made.status_code, made.json()["why"]) == (201, "prices are wrong")
        await leave_a_cart(visit)
        await eventually(stands(visit, "pending", "paused"))
        again = await asyncio.to_thread(stagepost, visit.stack, "pause", "--storefront", "test-shop", "--why", "x")
        assert again.stdout == "Paused already: storefront test-shop, by ben: prices are wrong\n"
    finally:
        gone = await asyncio.to_thread(stagepost, visit.stack, "resume", "--storefront", "test-shop")
    assert gone.returncode == 0, gone.stderr
    await eventually(stands(visit, "sent", None))
    query = {"scope": "storefront", "name": "test-shop", "by": "ben"}
    assert (await switches(visit, "DELETE", params=query)).status_code == 404


async def test_a_slip_pauses_nothing_and_says_what_was_meant(visit: Visit) -> None:
    slip = {"scope": "follow_up", "name": "abandoned-card", "why": "x", "by": "ada"}
    refused = await switches(visit, "POST", json=slip)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    said = stagepost(visit.stack, "pause", "abandoned-card", "--why", "x")
    assert said.returncode == 2
    for words in (refused.json()["message"], said.stderr):
        assert "there is no follow-up `abandoned-card`; did you mean abandoned-cart?" in words
    nobody = await visit.http.get(f"{visit.stack['notifier']}/v1/switches")
    assert nobody.status_code == 401
    assert (await switches(visit)).json() == {"switches": []}
