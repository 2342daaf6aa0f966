"""`stagepost console`."""

import typer

from services.commands import run_main
from services.panels import Panel


def register(app: typer.Typer) -> None:
    @app.command(rich_help_panel=Panel.SERVICES)
    def console() -> None:
        """Show operators who is where in the lifecycle, why, and what was sent."""
        from console.service import serve
        from console.settings import ConsoleSettings

        run_main(ConsoleSettings, serve, service="console")
