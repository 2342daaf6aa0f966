"""docs/models.md to its end: the shop that its reader has written by then is put in force on a real stack."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from doc_walk import ROOT, Command, blocks, commands, differs, run

from services.devstack.endpoints import shell

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
PATIENCE = 40
"""Tries of a command, half a second apart: a reader types more slowly than a stack takes an event in."""


@pytest.mark.skipif(which("curl") is None, reason="the page posts with curl, and this machine has none")
async def test_what_the_page_does_on_a_running_stack(start_stack: Callable[..., Any], tmp_path: Path) -> None:
    stack, env = None, dict[str, str]()
    for block in blocks(PAGE):
        match block.language, block.words:
            case "yaml", (name, *_):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(block.text, encoding="utf-8")
            case "console", ():
                for command in commands(block):
                    run(command, tmp_path)
            case "console", ("live",):
                if stack is None:
                    stack = start_stack("--shop", str(tmp_path / "my-shop"), "--free-ports")
                    stack.wait()
                    env = as_a_shell_has_them(stack.endpoints)
                for command in commands(block):
                    await shows(command, tmp_path, env)
    assert stack is not None, "the page runs nothing on a stack"
    stack.stop()


def as_a_shell_has_them(endpoints: dict[str, str]) -> dict[str, str]:
    script = f"set -a\n{shell(endpoints)}\nenv -0"
    told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
    pairs = (line.partition("=") for line in told.split("\0") if line)
    return {name: value for name, _, value in pairs if name not in os.environ}


async def shows(command: Command, directory: Path, env: dict[str, str]) -> None:
    fault: str | None = ""
    for _ in range(PATIENCE if command.text.startswith("stagepost why") else 1):
        fault = differs(command, run(command, directory, env), live=True)
        if fault is None:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(fault)
