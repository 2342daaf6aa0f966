"""`stagepost stage-engine`, `asyncapi`; for looking `why`; for mending `dead-letters` and `refold`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.errors import ConfigurationError
from services.panels import Panel
from stage_engine import revision_commands

dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be understood: look, and send again.")

WHERE = "The shop directory, `shop` by default; then parts of scenarios' names, or names of their files."


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.SERVICES)(stage_engine)
    app.command(rich_help_panel=Panel.OPERATING)(refold)
    app.command(rich_help_panel=Panel.SHOP)(why)
    app.command(rich_help_panel=Panel.STACK)(asyncapi)
    app.command("test", rich_help_panel=Panel.SHOP)(scenarios)
    app.command(rich_help_panel=Panel.SHOP)(draw)
    revision_commands.register(app)
    app.add_typer(dead_letters, name="dead-letters", rich_help_panel=Panel.OPERATING)


def stage_engine() -> None:
    """Run the stage engine: events from Kafka, everyone's place in Postgres, changes back to Kafka."""
    from stage_engine.service import main
    from stage_engine.settings import EngineSettings

    run_main(EngineSettings, main, service="stage-engine")


def asyncapi() -> None:
    """Print what the stage engine publishes, as AsyncAPI 3: stagepost asyncapi > docs/asyncapi.yaml."""
    from stage_engine.asyncapi import as_yaml

    typer.echo(as_yaml(), nl=False)


def scenarios(
    where: Annotated[
        list[str] | None, typer.Argument(help=WHERE, metavar="[DIR] [NAME]...", show_default=False)
    ] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="Name what no scenario has walked.")] = False,  # noqa: FBT002  how typer spells a flag
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell those that hold, too.")] = False,  # noqa: FBT002
) -> None:
    """Play a shop's scenarios on a virtual clock, with the fold that production runs.

    Exits 1 when something did not come out as expected, 2 on a fault in a file.
    """
    from stage_engine.scenarios.run import run

    said = list(where or [])
    directory = Path(said.pop(0)) if said and Path(said[0]).is_dir() else Path(os.environ.get("STAGEPOST_SHOP", "shop"))
    try:
        result = run(directory, said, verbose=verbose, coverage=coverage, say=typer.echo)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    if result.failed:
        raise typer.Exit(1)


def draw(
    directory: Annotated[
        Path, typer.Argument(help="The shop directory.", envvar="STAGEPOST_SHOP", metavar="DIR")
    ] = Path("shop"),
    track: Annotated[str | None, typer.Option(help="Only this one, as in lifecycle.")] = None,
) -> None:
    """Draw the tracks as Mermaid diagrams in Markdown: stagepost draw shop > shop/model.md."""
    from stage_engine.model.draw import markdown
    from stage_engine.model.load import load_model

    try:
        drawn = [known for known in load_model(directory / "lifecycle.yaml").tracks if track in (None, known.name)]
    except ConfigurationError as error:
        typer.echo(f"stagepost draw: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    if not drawn:
        typer.echo(f"stagepost draw: {directory}/lifecycle.yaml has no track `{track}`", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON)
    typer.echo(markdown(drawn), nl=False)


@dead_letters.command("list")
def list_letters(
    code: Annotated[str | None, typer.Option(help="Only these, as in untrusted_source.")] = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="Those that were sent again, too.")] = False,  # noqa: FBT002  how typer spells a flag
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """List them, the newest first."""
    from stage_engine import desk

    run_main(desk.DeskSettings, desk.listing(code=code, replayed=replayed, limit=limit), service="dead-letters")


@dead_letters.command()
def show(place: Annotated[str, typer.Argument(help="As listed: storefront.events/3/120.")]) -> None:
    """Show one whole, with what came."""
    from stage_engine import desk

    run_main(desk.DeskSettings, desk.showing(place), service="dead-letters")


@dead_letters.command()
def replay(
    place: Annotated[str | None, typer.Argument(help="One, as listed.")] = None,
    code: Annotated[str | None, typer.Option(help="All of this code, once what they met is mended.")] = None,
) -> None:
    """Put events on the topic again. An event that was taken in meanwhile is not taken in twice."""
    from stage_engine import desk

    if (place is None) == (code is None):
        raise typer.BadParameter("name one dead letter, or all of a --code")
    run_main(desk.DeskSettings, desk.replaying(place=place, code=code), service="dead-letters")


def refold(
    customer: Annotated[UUID | None, typer.Option(help="One customer, by id.")] = None,
    broken: Annotated[bool, typer.Option("--broken", help="All whose fold stumbled.")] = False,  # noqa: FBT002  how typer spells a flag
) -> None:
    """Have customers folded again from their first event. A running stage engine does it, and publishes corrections."""
    from stage_engine import desk

    if (customer is None) != broken:
        raise typer.BadParameter("name a --customer, or --broken for all that are")
    run_main(desk.DeskSettings, desk.refolding(customer), service="refold")


def why(
    who: Annotated[UUID | None, typer.Argument(help="A customer's id; a former one leads on.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Who is called so by the shop.")] = None,
    email: Annotated[str | None, typer.Option(help="Who has this address.")] = None,
    anonymous_id: Annotated[str | None, typer.Option(help="Whose device this is.")] = None,
    storefront: Annotated[str | None, typer.Option(help="Only there.")] = None,
    at: Annotated[str | None, typer.Option(help="As of then: 2026-11-01 or 2026-11-01T09:30 (UTC).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, for programs.")] = False,  # noqa: FBT002  how typer spells a flag
) -> None:
    """Say why a customer stands where they do, what could move them next, and what each of that still lacks."""
    from services.contracts.identity import IdentityKind
    from stage_engine import why_desk

    named = {IdentityKind.USER_ID: user_id, IdentityKind.EMAIL: email, IdentityKind.ANONYMOUS_ID: anonymous_id}
    asked: list[why_desk.Asked] = [] if who is None else [who]
    asked += [(kind, value) for kind, value in named.items() if value]
    if len(asked) != 1:
        raise typer.BadParameter("name one customer: by id, or by one of --user-id, --email and --anonymous-id")
    work = why_desk.answering(asked[0], storefront=storefront, at=_moment(at), as_json=as_json)
    run_main(why_desk.WhySettings, work, service="why")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is no time; write it as in 2026-11-01 or 2026-11-01T09:30Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
