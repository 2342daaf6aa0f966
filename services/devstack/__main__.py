"""`python -m services.devstack up`: the dev stack's commands alone, without the time that loading all others takes."""

import typer

from services.devstack.commands import register

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
register(app)
app()
