"""A page of docs/ walked through as its reader would: files are written, commands run, and what they print is compared.

A fenced block says after its language what it is: `yaml my-shop/lifecycle.yaml` is that file, `console` holds commands
after `$ ` with what they print, `console live` the same against a running stack. A line `…` stands for any lines.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\S*)(?: ([^\n]*))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANY = "…"


@dataclass(frozen=True, slots=True)
class Block:
    """`line` is where it stands in the page; `words` are what the fence says after the language."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    line: int
    text: str
    prints: str


def blocks(page: str) -> list[Block]:
    return [
        Block(found[1], tuple((found[2] or "").split()), found[3], page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def commands(block: Block) -> Iterator[Command]:
    parts = re.split(r"^\$ (.*)\n?", block.text, flags=re.MULTILINE)
    line = block.line + 1
    for text, prints in zip(parts[1::2], parts[2::2], strict=True):
        yield Command(line, text, prints)
        line += 1 + prints.count("\n")


def run(command: Command, directory: Path, more: Mapping[str, str] | None = None) -> str:
    """What it prints, on either stream, at 100 columns."""
    bin_ = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STAGEPOST_")}
    env = {**kept, "PATH": f"{bin_}:{kept['PATH']}", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", **(more or {})}
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout


def differs(command: Command, printed: str, *, live: bool = False) -> str | None:
    """None when it printed what the page shows; `live`: whatever the ids and numbers are."""
    shown, found = _lines(command.prints, live=live), _lines(printed, live=live)
    pattern = "".join(r"(?:.*\n)*?" if line == ANY else re.escape(line) + r"\n" for line in shown)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in found)):
        return None
    return f"line {command.line}: `{command.text}` printed\n{printed}\ninstead of\n{command.prints}"


def _lines(text: str, *, live: bool) -> list[str]:
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    if not live:
        return lines
    return [re.sub(r"\s+", " ", re.sub(r"\d+", "0", _ID.sub("<id>", line))) for line in lines]
