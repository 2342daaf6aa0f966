import typer

from console.commands import register

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
register(app)
app()
