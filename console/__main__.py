"""`python -m console`."""

import typer

from console.commands import console

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(console)
app()
