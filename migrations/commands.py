"""`stagepost migrate`."""

import typer

from services.commands import run_main


def register(app: typer.Typer) -> None:
    @app.command()
    def migrate() -> None:
        """Bring Postgres' schemas and Kafka's topics up to this version."""
        from migrations.migrate import MigrateSettings
        from migrations.migrate import migrate as bring_up

        run_main(MigrateSettings, bring_up, service="migrate")
