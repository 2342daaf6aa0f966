"""`stagepost stage-engine`."""

import typer

from services.commands import run_main


def register(app: typer.Typer) -> None:
    @app.command()
    def stage_engine() -> None:
        """Run the stage engine: events from Kafka, everyone's place in Postgres, changes back to Kafka."""
        from stage_engine.service import main
        from stage_engine.settings import EngineSettings

        run_main(EngineSettings, main, service="stage-engine")
