"""Starting a stack in the foreground: to work with (`up`), or to watch a sample shop's visitors in (`demo`)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console

from services.devstack.catalogue import PARTS
from services.devstack.demo.show import show
from services.devstack.endpoints import table
from services.devstack.home import current_home
from services.devstack.progress import Reporter
from services.devstack.stack import Options, Stack
from services.errors import ConfigurationError


def up(*, shop: Path, only: str | None, restarts: bool, free_ports: bool, kafka_proxy: int | None) -> None:
    parts = frozenset(part.strip() for part in only.split(",")) if only else frozenset(PARTS)
    if unknown := parts - set(PARTS):
        raise ConfigurationError(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options = Options(shop=shop, parts=parts, restarts=restarts, free_ports=free_ports, kafka_proxy=kafka_proxy)

    async def during(found: dict[str, str], report: Reporter) -> None:
        report.say(table(found) + "\nThe stack is ready. Ctrl-C stops it.")
        await asyncio.Event().wait()

    _run(options, during)


def demo(*, shop: Path, stay: bool | None) -> None:
    """`stay` None: keeps running afterwards on a terminal, and ends elsewhere."""
    options = Options(shop=shop)
    console = Console()

    async def during(found: dict[str, str], report: Reporter) -> None:
        await show(found, shop, console)
        if console.is_terminal if stay is None else stay:
            report.say(f"\n{table(found)}\n  operator key  {found['operator_key']} (opens the console)")
            report.say("It keeps running, to look around in. Ctrl-C stops it.")
            await asyncio.Event().wait()

    _run(options, during)


def _run(options: Options, during: Callable[[dict[str, str], Reporter], Awaitable[None]]) -> None:
    report = Reporter(Console(stderr=True))
    home = current_home()
    home.prepare()
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # it complains until Kafka answers
    logging.getLogger("aiokafka").propagate = False

    async def live() -> None:
        await Stack(home, options, report).run(lambda found: during(found, report))

    with home.locked():
        asyncio.run(live())
    report.say("All stopped.")
