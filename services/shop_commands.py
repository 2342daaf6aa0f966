"""`stagepost check`: what people do with the text of a shop's directory before anything runs."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.commands import EXIT_NEEDS_A_PERSON

Directory = Annotated[Path, typer.Argument(help="The shop directory.", envvar="STAGEPOST_SHOP", metavar="[DIR]")]


def register(app: typer.Typer) -> None:
    app.command()(check)


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
        said = {"directory": str(directory), "refused": refused, "counts": report.counts, "findings": found}
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        for finding in report.found:
            typer.echo(str(finding))
        typer.echo(report.summary)
    if refused:
        raise typer.Exit(EXIT_NEEDS_A_PERSON)
