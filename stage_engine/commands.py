"""`stagepost stage-engine`, `stagepost asyncapi`; for mending `stagepost dead-letters` and `stagepost refold`."""

from typing import Annotated
from uuid import UUID

import typer

from services.commands import run_main

dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be understood: look, and send again.")


def register(app: typer.Typer) -> None:
    app.command()(stage_engine)
    app.command()(refold)
    app.command()(asyncapi)
    app.add_typer(dead_letters, name="dead-letters")


def stage_engine() -> None:
    """Run the stage engine: events from Kafka, everyone's place in Postgres, changes back to Kafka."""
    from stage_engine.service import main
    from stage_engine.settings import EngineSettings

    run_main(EngineSettings, main, service="stage-engine")


def asyncapi() -> None:
    """Print what the stage engine publishes, as AsyncAPI 3: stagepost asyncapi > docs/asyncapi.yaml."""
    from stage_engine.asyncapi import as_yaml

    typer.echo(as_yaml(), nl=False)


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
