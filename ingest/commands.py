"""`stagepost ingest`, `stagepost forget-ingest`, `stagepost import`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from services.commands import run_main


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(forget_ingest)
    app.command(name="import")(import_)


def ingest() -> None:
    """Take events over HTTP and put them on Kafka."""
    from ingest.service import serve
    from ingest.settings import IngestSettings

    run_main(IngestSettings, serve, service="ingest")


def forget_ingest(ingest_id: str) -> None:
    """Wait no more for an ingest that is gone for good. See first that it does not run."""
    from ingest.forget import forget
    from ingest.settings import ForgetSettings
    from services.contracts.progress import IngestId

    async def run(settings: ForgetSettings) -> None:
        await forget(IngestId(ingest_id), settings.kafka)

    run_main(ForgetSettings, run, service="forget-ingest")


def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV or NDJSON, also gzipped; several are imported in turn.")],
    mapping: Annotated[str, typer.Option(help="What its rows mean: a YAML file, or cdnow, online-retail, otto.")],
    storefront: Annotated[str, typer.Option(help="Whose history it is, by its name in storefronts.yaml.")],
    on_error: Annotated[
        Literal["stop", "skip"], typer.Option(help="At a row that can't be taken: stop there, or leave it out.")
    ] = "stop",
    id_prefix: Annotated[str, typer.Option(help="Stands before the id of every event.")] = "",
    state: Annotated[Path, typer.Option(help="The folder for the resume points.")] = Path(".stagepost/import"),
    from_start: Annotated[bool, typer.Option("--from-start", help="Not from the resume point on.")] = False,  # noqa: FBT002  how typer spells a flag
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")] = False,  # noqa: FBT002  as above
) -> None:
    """Tell what happened before Stagepost was there. It moves customers to where they belong and starts no follow-up.

    Run again, it goes on where it stood; nothing is taken in twice.
    """
    from functools import partial

    from ingest.history.command import DryRunSettings, ImportSettings, import_history

    work = partial(
        import_history,
        files=files,
        mapping=mapping,
        storefront=storefront,
        state=state,
        id_prefix=id_prefix,
        on_fault=on_error,
        from_start=from_start,
    )
    run_main(DryRunSettings if dry_run else ImportSettings, work, service="import")
