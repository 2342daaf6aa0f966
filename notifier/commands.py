"""`stagepost notifier` and `stagepost preview`."""

from pathlib import Path
from typing import Annotated

import typer

from notifier.followups_file import read_follow_ups
from notifier.render import Rendered, Renderer, RenderError
from notifier.samples import sample_contents
from notifier.service import serve
from notifier.settings import NotifierSettings
from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.errors import ConfigurationError
from services.shop import default_shop, load_shop


def register(app: typer.Typer) -> None:
    app.command("notifier")(notifier)
    app.command("preview")(preview)


def notifier() -> None:
    """Send the follow-ups that stage changes start."""
    run_main(NotifierSettings, serve, service="notifier")


def preview(
    follow_up: Annotated[str, typer.Argument(help="Its name in followups.yaml.")],
    shop: Annotated[Path | None, typer.Option(help="The shop directory; the default shop without it.")] = None,
    text: Annotated[bool, typer.Option("--text/--html", help="The text part, or the HTML part.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Print a follow-up's mail with sample data, as in: stagepost preview thank-you --html > mail.html."""
    try:
        rendered = _sample(follow_up, shop or default_shop())
    except (ConfigurationError, RenderError) as error:
        typer.echo(f"stagepost preview: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    typer.echo(f"Subject: {rendered.subject}\n\n{rendered.text}" if text else rendered.html)


def _sample(name: str, directory: Path) -> Rendered:
    shop = load_shop(directory)
    follow_ups = read_follow_ups(shop.file("followups.yaml"))
    if name not in follow_ups:
        raise ConfigurationError(f"there is no follow-up `{name}`; there are {', '.join(follow_ups)}")
    contents = sample_contents(follow_ups[name], next(iter(shop.storefronts.values())))
    return Renderer(shop.directory).render(follow_ups[name].template, next(iter(contents.values())))
