"""`stagepost plan`, `apply`, `rollback` and `revisions`: which revision of the shop is in force."""

from pathlib import Path
from typing import Annotated

import typer

from services.commands import run_main
from services.panels import Panel

Directory = Annotated[Path | None, typer.Argument(help="The shop directory; without it STAGEPOST_SHOP, or `shop`.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.FORCE)(plan)
    app.command(rich_help_panel=Panel.FORCE)(apply)
    app.command(rich_help_panel=Panel.FORCE)(rollback)
    app.command(rich_help_panel=Panel.FORCE)(revisions)


def plan(
    directory: Directory = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002  how typer spells a flag
    max_moved: Annotated[
        str | None, typer.Option(help="Exit 3 when more would move: a number, or a share as in 5%.")
    ] = None,
) -> None:
    """Say what a shop directory would change: the model, the follow-ups, and which customers would stand elsewhere."""
    from stage_engine import revision_desk

    run_main(
        revision_desk.RevisionSettings,
        revision_desk.planning(directory, as_json=as_json, max_moved=max_moved),
        service="plan",
    )


def apply(
    directory: Directory = None,
    note: Annotated[str, typer.Option(help="What changed and why, for `stagepost revisions`.")] = "",
    expect: Annotated[
        int | None, typer.Option(min=0, help="Only if this revision is still in force, as `stagepost plan` said.")
    ] = None,
    first: Annotated[bool, typer.Option("--first", help="Only if none is in force yet, as for a new stack.")] = False,  # noqa: FBT002  how typer spells a flag
) -> None:
    """Put a shop directory in force, and bring every customer to it. Killed midway, it is simply run again."""
    from stage_engine import revision_desk

    run_main(
        revision_desk.RevisionSettings,
        revision_desk.applying(directory, note=note, expect=expect, first_only=first),
        service="apply",
    )


def rollback(
    number: Annotated[int | None, typer.Argument(min=1, help="The revision; without it the one before.")] = None,
) -> None:
    """Put a former revision in force again, and bring every customer to it."""
    from stage_engine import revision_desk

    run_main(revision_desk.RevisionSettings, revision_desk.rolling_back(number), service="rollback")


def revisions(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002
) -> None:
    """List what was ever applied, what is in force, and how many customers are still to be brought to it."""
    from stage_engine import revision_desk

    run_main(revision_desk.RevisionSettings, revision_desk.listing(as_json=as_json), service="revisions")
