"""npm packages for tests, as they were published: installed once into the user's cache, never into the checkout."""

import asyncio
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from shutil import rmtree, which

import pytest

WANTED = Path(__file__).resolve().parents[1] / "browser" / "package.json"
QUIET = ("--no-audit", "--no-fund", "--loglevel=error")
INSTALL = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--fetch-retries=1", *QUIET)
UNREACHABLE = ("EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "ENOTFOUND", "ETIMEDOUT")
PATIENCE = 300
"""Seconds: the first run on a machine fetches some 50 MB."""


def packages() -> Path:
    """The folder whose `node_modules` holds what tests/browser/package.json names. Skips where it can't be had."""
    for needed in ("node", "npm"):
        if which(needed) is None:
            pytest.skip(f"{needed} is not installed; this test runs a client that npm has")
    folder = _installed()
    if folder is None:
        pytest.skip("npm reaches no registry; this test runs a client that npm has")
    return folder


@cache
def _installed() -> Path | None:
    """Installed now, if it is not yet. None when there is no way to a registry: that is asked once only."""
    wanted = WANTED.read_bytes()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagepost" / "npm"
    caches.mkdir(parents=True, exist_ok=True)
    folder = caches / hashlib.sha256(wanted).hexdigest()[:16]
    with (caches / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        unfinished = folder.with_suffix(".unfinished")  # whole or not at all: it has its name once npm is through
        rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        (unfinished / "package.json").write_bytes(wanted)
        done = subprocess.run(INSTALL, cwd=unfinished, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if any(f"code {code}" in done.stderr for code in UNREACHABLE):
            return None
        assert done.returncode == 0, f"npm install: {done.stderr}"
        unfinished.rename(folder)
    return folder


async def run_module(script: str, folder: Path, env: Mapping[str, str]) -> str:
    """Runs an ES module that may import these packages, and returns what it printed; `folder` is for the script."""
    packed = folder / "node_modules"
    if not packed.exists():
        packed.symlink_to(packages() / "node_modules")
    file = folder / "script.mjs"
    file.write_text(script, encoding="utf-8")
    running = await asyncio.create_subprocess_exec(
        "node",
        str(file),
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        printed, _ = await running.communicate()
    assert running.returncode == 0, printed.decode()
    return printed.decode()
