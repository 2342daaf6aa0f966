"""npm packages for tests, as they were published: installed once into the user's cache, never into the checkout."""

import asyncio
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree, which

import pytest

WANTED = Path(__file__).resolve().parents[1] / "browser" / "package.json"
INSTALL = ("npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
PATIENCE = 300
"""Seconds: the first run on a machine fetches some 50 MB."""


def packages() -> Path:
    """The folder whose `node_modules` holds what tests/browser/package.json names. Skips the test without npm."""
    for needed in ("node", "npm"):
        if which(needed) is None:
            pytest.skip(f"{needed} is not installed; this test runs a client that npm has")
    wanted = WANTED.read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stagepost" / "npm"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / hashlib.sha256(wanted).hexdigest()[:16]
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(wanted, folder)
    return folder


def _install(wanted: bytes, folder: Path) -> None:
    """Whole or not at all: the folder has its name once npm is through."""
    unfinished = folder.with_suffix(".unfinished")
    rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "package.json").write_bytes(wanted)
    done = subprocess.run(INSTALL, cwd=unfinished, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, f"npm install: {done.stderr}"
    unfinished.rename(folder)


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
