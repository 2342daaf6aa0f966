"""`stagepost migrate` and `stagepost restored`."""

import typer

from services.commands import run_main
from services.panels import Panel


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.OPERATING)(migrate)
    app.command(rich_help_panel=Panel.OPERATING)(restored)


def migrate() -> None:
    """Bring Postgres' schemas and Kafka's topics up to this version."""
    from migrations.migrate import MigrateSettings
    from migrations.migrate import migrate as bring_up

    run_main(MigrateSettings, bring_up, service="migrate")


def restored() -> None:
    """Say that Postgres was restored to an earlier time, before the services start again: nobody is mailed twice."""
    from migrations.migrate import MigrateSettings
    from migrations.restored import restored as begin_anew

    run_main(MigrateSettings, begin_anew, service="restored")
