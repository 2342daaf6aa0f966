"""`stagepost ingest`, `stagepost forget-ingest`."""

import typer

from services.commands import run_main


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(forget_ingest)


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
