"""`stagepost ingest`."""

import typer

from services.commands import run_main


def register(app: typer.Typer) -> None:
    @app.command()
    def ingest() -> None:
        """Take events over HTTP and put them on Kafka."""
        from ingest.service import serve
        from ingest.settings import IngestSettings

        run_main(IngestSettings, serve, service="ingest")
