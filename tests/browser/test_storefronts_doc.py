"""docs/storefronts.md, section by section, as its readers would: each example runs as it stands, and all arrives."""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest
from doc_walk import ROOT, Block, blocks, commands
from doc_walk import run as run_command
from npm import packages, run_module
from playwright.async_api import Page
from visiting import Visit

PAGE = (ROOT / "docs" / "storefronts.md").read_text(encoding="utf-8")
NO_STORY = {("console", ()), ("sh", ("setup",)), ("sh", ("products",)), ("php", ())}
STORY = Counter({"Product Viewed": 1, "Product Added": 1, "Customer Identified": 1})
"""What each section tells, but for those that can't."""
TOLD = {
    "Google Analytics 4": Counter({"Product Viewed": 1, "Product Added": 1}),
    "Shopify": Counter({"Order Completed": 1, "Customer Identified": 1}),
    "WooCommerce": Counter({"Order Completed": 1, "Customer Identified": 1}),
}
RUDDERSTACK = "/node_modules/@rudderstack/analytics-js/dist/npm"
MODULES = {
    "@segment/analytics-next": "/segment.js",
    "@rudderstack/analytics-js/bundled": f"{RUDDERSTACK}/modern/bundled/esm/index.mjs",
    "@jitsu/js": "/node_modules/@jitsu/js/dist/jitsu.es.js",
}
"""What a reader's bundler finds in npm's packages. Segment's is bundled by itself already, but not as a module."""
SEGMENT = """
import "/node_modules/@segment/analytics-next/dist/umd/index.js";
export const { AnalyticsBrowser } = window.AnalyticsNext;
"""
Eventually = Callable[..., Awaitable[None]]


def examples() -> list[tuple[str, Block]]:
    """Each that tells the story, and its section."""
    found = []
    for block in blocks(PAGE):
        if (block.language, block.words) not in NO_STORY:
            above = "\n".join(PAGE.splitlines()[: block.line])
            found.append((above.rpartition("\n## ")[2].partition("\n")[0], block))
    return found


def test_every_client_has_an_example() -> None:
    sections = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    assert list(dict.fromkeys(section for section, _ in examples())) == sections[1:]


async def test_the_keys_that_it_makes_work_and_the_page_s_on_the_shop_s_pages_only(
    visit: Visit, eventually: Eventually, tmp_path: Path
) -> None:
    (block,) = [block for block in blocks(PAGE) if block.language == "console"]
    kafka = {"STAGEPOST_KAFKA__BOOTSTRAP_SERVERS": visit.stack["kafka"]}
    own = [
        replace(command, text=command.text.replace("main-shop", visit.stack["storefront"]))
        for command in commands(block)
    ]
    made = [re.findall(r"^spwk_\w{12,}$", run_command(command, tmp_path, kafka), re.MULTILINE) for command in own]
    ((server,), (browser,)) = made
    shop, other = "https://shop.example", "https://other.example"

    async def status(key: str, origin: str) -> int:
        event = {"type": "track", "event": "Product Viewed", "userId": visit.user, "writeKey": key}
        answer = await visit.http.post(f"{visit.stack['ingest']}/v1/track", json=event, headers={"Origin": origin})
        return answer.status_code

    async def at_work() -> bool:
        return (await status(server, shop), await status(browser, shop)) == (200, 200)

    await eventually(at_work)
    assert await status(browser, other) == 403


async def test_the_catalogue_is_taken(visit: Visit) -> None:
    (catalogue,) = [block for block in blocks(PAGE) if block.words == ("products",)]
    await run_shell(catalogue.text, visit)


def as_parameters(*, in_a_page: bool) -> pytest.MarkDecorator:
    chosen = [
        pytest.param(section, block, id=f"{section} {block.language}".replace(" ", "-"))
        for section, block in examples()
        if ("page" in block.words) == in_a_page
    ]
    return pytest.mark.parametrize(("section", "block"), chosen)


@as_parameters(in_a_page=False)
async def test_what_an_example_tells_arrives_once_as_ann_s(
    section: str, block: Block, visit: Visit, eventually: Eventually, tmp_path: Path
) -> None:
    text = as_the_reader_s(block.text, visit)
    match block.language, block.words:
        case "sh", ("curl",):
            await run_shell(text, visit)
        case "python", ():
            await run([sys.executable, "-c", text], {})
        case "js", ("node",):
            packages()
            await run_module(text, tmp_path, {})
        case other:
            pytest.fail(f"line {block.line}: nobody knows how to run {other}")
    await arrives(visit, eventually, TOLD.get(section, STORY))


@as_parameters(in_a_page=True)
async def test_what_an_example_in_a_page_tells_arrives_once_as_ann_s(
    section: str, block: Block, visit: Visit, eventually: Eventually, page: Page, web: str, web_root: Path
) -> None:
    text = as_the_reader_s(block.text, visit)
    if block.language == "js":
        mapped = json.dumps({"imports": MODULES})
        text = f'<script type="importmap">{mapped}</script><script type="module">{text}</script>'
        (web_root / "segment.js").write_text(SEGMENT, encoding="utf-8")
    (web_root / "page.html").write_text(f'<!doctype html><link rel="icon" href="data:,">{text}', encoding="utf-8")
    await page.goto(f"{web}/page.html")
    await arrives(visit, eventually, TOLD.get(section, STORY) + Counter({"Page Viewed": 1}))


async def arrives(visit: Visit, eventually: Eventually, expected: Counter[str]) -> None:
    who = {"email": visit.email} if "Order Completed" in expected else {"user_id": visit.user}

    async def all_came() -> bool:
        return len(await visit.did(**who)) >= expected.total()

    await eventually(all_came)
    assert Counter(event["name"] for event in await visit.did(**who)) == expected


def as_the_reader_s(text: str, visit: Visit) -> str:
    """With the reader's own host, keys and names."""
    for shown, own in (
        ("https://events.shop.example", visit.stack["ingest"]),
        ("YOUR_SERVER_KEY", visit.stack["write_key"]),
        ("YOUR_BROWSER_KEY", visit.stack["browser_key"]),
        ("ann@example.com", visit.email),
        ('"u1"', f'"{visit.user}"'),
        ('"c1"', f'"cart-{visit.run}"'),
        ("ann-", f"{visit.run}-"),
    ):
        text = text.replace(shown, own)
    return text


async def run_shell(script: str, visit: Visit) -> None:
    for needed in ("curl", "openssl"):
        if needed in script and which(needed) is None:
            pytest.skip(f"{needed} is not installed; this example uses it")
    printed = await run(["bash", "-ec", script], visit.stack)
    assert json.loads(printed[printed.index("{") :])["rejected"] == []


async def run(command: list[str], more: Mapping[str, str]) -> str:
    running = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **more}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        printed, _ = await running.communicate()
    assert running.returncode == 0, printed.decode()
    return printed.decode()
