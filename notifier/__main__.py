"""`python -m notifier`."""

import typer

from notifier.commands import notifier

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(notifier)
app()
