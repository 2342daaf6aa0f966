"""`python -m ingest`."""

import typer

from ingest.commands import ingest

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(ingest)
app()
