"""`stagepost console`."""

import typer

from console.service import serve
from console.settings import ConsoleSettings
from services.commands import run_main


def register(app: typer.Typer) -> None:
    app.command("console")(console)


def console() -> None:
    """Show operators who is where in the lifecycle, why, and what was sent."""
    run_main(ConsoleSettings, serve, service="console")
