"""`python -m stage_engine`."""

import typer

from stage_engine.commands import stage_engine

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(stage_engine)
app()
