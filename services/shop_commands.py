"""`stagepost check | schema | init`: what people do with the text of a shop's directory before anything runs."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.commands import EXIT_NEEDS_A_PERSON
from services.panels import Panel

Directory = Annotated[Path, typer.Argument(help="The shop directory.", envvar="STAGEPOST_SHOP", metavar="DIR")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.SHOP)(check)
    app.command(rich_help_panel=Panel.SHOP)(schema)
    app.command(rich_help_panel=Panel.SHOP)(init)


def check(
    directory: Directory = Path("shop"),
    strict: Annotated[bool, typer.Option("--strict", help="Refuse warnings too, as for CI.")] = False,  # noqa: FBT002  how typer spells a flag
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002
) -> None:
    """Look through a shop directory: every fault and warning at its line, with the fix. Exits 2 on faults."""
    from services.checks import check_shop

    report = check_shop(directory)
    refused = report.refuses(strict=strict)
    if as_json:
        found = [msgspec.to_builtins(finding) for finding in report.found]
        said = {
            "directory": str(directory),
            "refused": refused,
            "counts": report.counts,
            "findings": found,
            "told": report.told,
        }
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        for finding in report.found:
            typer.echo(str(finding))
        typer.echo(report.summary)
        if not refused:
            for line in report.told:
                typer.echo(line)
    if refused:
        raise typer.Exit(EXIT_NEEDS_A_PERSON)


def schema(
    name: Annotated[
        str | None, typer.Argument(help="Of which file: lifecycle, followups, storefronts or scenarios.")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="Write all of them into this directory instead.")] = None,
) -> None:
    """Print a file's JSON Schema, by which editors complete and check it: stagepost schema --write shop/.schemas."""
    from services.schemas import as_text, names, schema_of, write_all

    if (name is None) == (write is None):
        raise typer.BadParameter(f"name one of {', '.join(names())}, or a directory to --write all of them into")
    if write is not None:
        for path in write_all(write):
            typer.echo(str(path))
    elif name not in names():
        raise typer.BadParameter(f"there is no schema `{name}`; there are: {', '.join(names())}")
    else:
        typer.echo(as_text(schema_of(name)), nl=False)


def init(
    directory: Annotated[
        Path, typer.Argument(help="A directory that is not there yet, or empty.", metavar="DIR")
    ] = Path("shop"),
    preset: Annotated[str, typer.Option(help="The lifecycle to begin with.")] = "seven-stage",
) -> None:
    """Write a shop directory to begin with: storefronts, a lifecycle, two follow-ups, two scenarios."""
    from services.errors import ConfigurationError
    from services.new_shop import write_shop

    try:
        written = write_shop(directory, preset)
    except ConfigurationError as error:
        typer.echo(f"stagepost init: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    for path in written:
        typer.echo(str(path))
    typer.echo(f"Next: put your shop's name into {directory}/storefronts.yaml, then `stagepost check {directory}`.")
