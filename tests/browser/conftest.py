"""A real browser, and the sample shop as it is served."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
from npm import packages
from playwright.async_api import Browser, Page, async_playwright
from stacks import RunningStack, StartStack

MANY_CLAIMS = {"STAGEPOST_CLAIMS__NETWORK_A_DAY": "1000"}
"""All visitors come from this machine, of whose web pages few addresses are believed in a day."""
SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop" / "serve.py"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def running_stack(start_stack: StartStack) -> Iterator[RunningStack]:
    """With the sample shop's own directory."""
    stack = start_stack("--shop", str(SHOP.parent / "stagepost"), "--free-ports", settings=MANY_CLAIMS)
    stack.wait()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def stack(running_stack: RunningStack) -> dict[str, str]:
    """Its endpoints. Said anew: the one that all folders share keeps whichever stack it was first asked for."""
    return running_stack.endpoints


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The machine's own: what Playwright would download is not asked for."""
    found = next(filter(None, map(which, CHROMIUMS)), None)
    if found is None:
        pytest.skip(f"no Chromium is installed ({', '.join(CHROMIUMS)}); this test drives a browser")
    # Its sandbox does not run as root, as in a container.
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        await browser.close()


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """Of a visitor who was never here. What fails on a page fails the test."""
    context = await chromium.new_context()
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"{request.url} {request.failure}"))
    page.on("response", lambda answer: faults.append(f"{answer.url} {answer.status}") if answer.status > 399 else None)
    yield page
    found = list(faults)  # before what is under way is broken off
    await context.close()
    assert found == []


@pytest.fixture
async def unsteady(chromium: Browser) -> AsyncIterator[Page]:
    """A page of whose calls some are to fail."""
    context = await chromium.new_context()
    yield await context.new_page()
    await context.close()


@contextmanager
def served(stack: dict[str, str], *options: str) -> Iterator[str]:
    """Where it is."""
    keys = ("--ingest", stack["ingest"], "--browser-key", stack["browser_key"], "--server-key", stack["write_key"])
    command = [sys.executable, str(SHOP), "--port", "0", *keys, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()  # an interrupt is ignored by whatever was begun in a shell's background


@pytest.fixture(scope="session")
def shop_with_segment(stack: dict[str, str]) -> Iterator[str]:
    """The sample shop with Segment's analytics.js, as npm has it."""
    library = packages() / "node_modules" / "@segment" / "analytics-next" / "dist" / "umd"
    with served(stack, "--library", str(library)) as url:
        yield url


@pytest.fixture(scope="session")
def shop_as_it_lies(stack: dict[str, str]) -> Iterator[str]:
    """The sample shop as it lies there, with the small client of its own."""
    with served(stack) as url:
        yield url


@pytest.fixture(params=["segment", "as it lies"])
def shop_url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("shop_with_segment" if request.param == "segment" else "shop_as_it_lies")
    return found


@pytest.fixture(scope="session")
def web_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a test's pages lie, beside all packages."""
    root: Path = tmp_path_factory.mktemp("pages")
    (root / "node_modules").symlink_to(packages() / "node_modules")
    return root


@pytest.fixture(scope="session")
def web(web_root: Path) -> Iterator[str]:
    """Where they are served."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(web_root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield re.sub(r".*\((.*)/\).*\s*", r"\1", server.stdout.readline())
        finally:
            server.terminate()
