import typer

from ingest.service import serve
from ingest.settings import IngestSettings
from services.commands import run_main


def register(app: typer.Typer) -> None:
    @app.command()
    def ingest() -> None:
        """Takes events over HTTP and puts them on Kafka."""
        run_main(IngestSettings, serve, service="ingest")
