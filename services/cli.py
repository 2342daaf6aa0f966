"""The `stagepost` command. Each service registers its own commands under the entry point `stagepost.commands`."""

from importlib.metadata import entry_points

import typer

from services.panels import Panel

app = typer.Typer(
    name="stagepost",
    help="Keeps each customer's place in a shop's lifecycle true, and sends the right follow-up once.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)


def main() -> None:
    for entry in sorted(entry_points(group="stagepost.commands"), key=lambda e: e.name):
        entry.load()(app)
    headings = list(Panel)
    app.registered_commands.sort(key=lambda command: headings.index(Panel(command.rich_help_panel or Panel.OPERATING)))
    app()


if __name__ == "__main__":
    main()
