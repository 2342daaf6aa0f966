"""`stagepost notifier` and `stagepost preview`."""

from pathlib import Path
from typing import Annotated

import typer

from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.errors import ConfigurationError
from services.panels import Panel


def register(app: typer.Typer) -> None:
    app.command("notifier", rich_help_panel=Panel.SERVICES)(notifier)
    app.command("preview", rich_help_panel=Panel.SHOP)(preview)


def notifier() -> None:
    """Send the follow-ups that stage changes start."""
    from notifier.service import serve
    from notifier.settings import NotifierSettings

    run_main(NotifierSettings, serve, service="notifier")


def preview(
    follow_up: Annotated[str, typer.Argument(help="Its name in followups.yaml.")],
    shop: Annotated[Path | None, typer.Option(help="The shop directory; the default shop without it.")] = None,
    text: Annotated[bool, typer.Option("--text/--html", help="The text part, or the HTML part.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Print a follow-up's mail with sample data, as in: stagepost preview thank-you --html > mail.html."""
    from notifier.preview import sample
    from notifier.render import RenderError

    try:
        rendered = sample(follow_up, shop)
    except (ConfigurationError, RenderError) as error:
        typer.echo(f"stagepost preview: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    typer.echo(f"Subject: {rendered.subject}\n\n{rendered.text}" if text else rendered.html)
