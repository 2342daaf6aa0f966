"""`stagepost import` from its options to its end."""

import asyncio
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

import typer
from pydantic import Field
from rich.console import Console

from ingest.history.load import MappingFile, find_mapping
from ingest.history.run import Import, Interrupted, OnFault, Order
from ingest.history.show import Show
from services.contracts.storefront import Storefront
from services.errors import ConfigurationError
from services.kafka import Record, Sender, check_topics
from services.settings import KafkaSettings, Settings
from services.shop import default_shop, load_shop


class ImportSettings(Settings):
    kafka: KafkaSettings
    shop: Path = Field(default_factory=default_shop, description="the shop directory")


class DryRunSettings(Settings):
    shop: Path = Field(default_factory=default_shop, description="the shop directory")


class _Nowhere:
    async def send(self, records: Sequence[Record], *, deadline: timedelta) -> None:
        """A dry run sends nothing."""


async def import_history(
    settings: ImportSettings | DryRunSettings,
    *,
    files: Sequence[Path],
    mapping: str,
    storefront: str,
    state: Path,
    id_prefix: str,
    on_fault: OnFault,
    from_start: bool,
) -> None:
    """Raises ConfigurationError, Unreachable, or typer.Exit(130) when it was told to end."""
    declared = _declared(settings.shop, storefront)
    order = Order(
        files=files,
        mapping=MappingFile(find_mapping(mapping), declared.timezone),
        storefront=storefront,
        declared=declared,
        state=state,
        id_prefix=id_prefix,
        on_fault=on_fault,
        from_start=from_start,
        dry_run=isinstance(settings, DryRunSettings),
        began=datetime.now(UTC),
    )
    show = Show(Console(stderr=True))
    stopping = asyncio.Event()
    if isinstance(settings, DryRunSettings):
        await _run(Import(order, _Nowhere(), show, _now, stopping), show, stopping)
        return
    await check_topics(settings.kafka)
    sender = Sender(settings.kafka, client_id="stagepost-import")
    try:
        await _run(Import(order, sender, show, _now, stopping), show, stopping)
    finally:
        await sender.stop(grace=timedelta(seconds=2))


def _declared(shop: Path, name: str) -> Storefront:
    storefronts = load_shop(shop).storefronts
    if name not in storefronts:
        close = get_close_matches(name, storefronts, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(storefronts)}"
        raise ConfigurationError(f"{shop / 'storefronts.yaml'} declares no storefront {name}; {hint}")
    return storefronts[name]


async def _run(work: Import, show: Show, stopping: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    began = time.monotonic()
    try:
        await work.run()
    except Interrupted as interrupted:
        show.say(f"ended in {interrupted}; the same command goes on where it stood")
        raise typer.Exit(130) from None
    show.say(f"done in {time.monotonic() - began:.1f} s")


def _now() -> datetime:
    return datetime.now(UTC)
