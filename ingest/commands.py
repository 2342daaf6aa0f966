"""`stagepost ingest`, `stagepost forget-ingest`, `stagepost import`, `stagepost spool`, `stagepost keys`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from services.commands import EXIT_NEEDS_A_PERSON, run_main
from services.contracts.keys import KeyKind
from services.panels import Panel


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=Panel.SERVICES)(ingest)
    app.command(rich_help_panel=Panel.OPERATING)(forget_ingest)
    app.command(name="import", rich_help_panel=Panel.OPERATING)(import_)
    spool = typer.Typer(no_args_is_help=True, help="What ingest accepted while Kafka was away, and still has on disk.")
    spool.command("list")(spool_list)
    spool.command("drain")(spool_drain)
    app.add_typer(spool, name="spool", rich_help_panel=Panel.OPERATING)
    keys = typer.Typer(no_args_is_help=True, help="Write keys: what a storefront's clients show, for whose call it is.")
    keys.command("create")(keys_create)
    keys.command("list")(keys_list)
    keys.command("revoke")(keys_revoke)
    app.add_typer(keys, name="keys", rich_help_panel=Panel.OPERATING)


def ingest() -> None:
    """Take events over HTTP and put them on Kafka."""
    from ingest.service import serve
    from ingest.settings import IngestSettings

    run_main(IngestSettings, serve, service="ingest")


def forget_ingest(ingest_id: str) -> None:
    """Wait no more for an ingest that is gone for good. See first that it does not run."""
    from ingest.forget import forget
    from ingest.settings import KafkaOnly
    from services.contracts.progress import IngestId

    async def run(settings: KafkaOnly) -> None:
        await forget(IngestId(ingest_id), settings.kafka)

    run_main(KafkaOnly, run, service="forget-ingest")


def import_(
    files: Annotated[list[Path], typer.Argument(help="CSV or NDJSON, also gzipped; several are imported in turn.")],
    mapping: Annotated[str, typer.Option(help="What its rows mean: a YAML file, or cdnow, online-retail, otto.")],
    storefront: Annotated[str, typer.Option(help="Whose history it is, by its name in storefronts.yaml.")],
    on_error: Annotated[
        Literal["stop", "skip"], typer.Option(help="At a row that can't be taken: stop there, or leave it out.")
    ] = "stop",
    id_prefix: Annotated[str, typer.Option(help="Stands before the id of every event.")] = "",
    state: Annotated[Path, typer.Option(help="The folder for the resume points.")] = Path(".stagepost/import"),
    from_start: Annotated[bool, typer.Option("--from-start", help="Not from the resume point on.")] = False,  # noqa: FBT002  how typer spells a flag
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")] = False,  # noqa: FBT002  as above
) -> None:
    """Tell what happened before Stagepost was there. It moves customers to where they belong and starts no follow-up.

    Run again, it goes on where it stood; nothing is taken in twice.
    """
    from functools import partial

    from ingest.history.command import DryRunSettings, ImportSettings, import_history

    work = partial(
        import_history,
        files=files,
        mapping=mapping,
        storefront=storefront,
        state=state,
        id_prefix=id_prefix,
        on_fault=on_error,
        from_start=from_start,
    )
    run_main(DryRunSettings if dry_run else ImportSettings, work, service="import")


StateFolder = Annotated[Path, typer.Argument(metavar="DIR", help="an ingest's STAGEPOST_STATE_FOLDER, or a copy of it")]


def spool_list(folder: StateFolder) -> None:
    """Say what lies in the spools of a state folder."""
    from ingest.spool_desk import listed
    from services.errors import StagepostError

    try:
        lines = listed(folder)
    except StagepostError as error:
        typer.echo(f"stagepost spool list: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    typer.echo("\n".join(lines) or "no spool is here: nothing is owed")


def spool_drain(folder: StateFolder) -> None:
    """Put on Kafka what lies there, and take leave for who accepted it: before a machine is taken away."""
    from ingest.service import utc_now
    from ingest.settings import KafkaOnly
    from ingest.spool_desk import drain

    async def run(settings: KafkaOnly) -> None:
        await drain(folder, settings.kafka, utc_now, typer.echo)

    run_main(KafkaOnly, run, service="spool drain")


def keys_create(
    storefront: Annotated[str, typer.Argument(help="Whose, by its name in storefronts.yaml.")],
    kind: Annotated[KeyKind, typer.Option(help="server: for the shop's own server; browser: for its web pages.")],
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A browser key's pages, as in https://shop.example; once for each. Without: any page."),
    ] = None,
) -> None:
    """Make a key and show it, this once. It works within seconds, beside those that there are."""
    from ingest.keys_desk import create
    from ingest.service import utc_now
    from ingest.settings import KafkaOnly

    async def run(settings: KafkaOnly) -> None:
        await create(storefront, kind, origin or (), settings.kafka, utc_now(), show=typer.echo, say=_aside)

    run_main(KafkaOnly, run, service="keys create")


def keys_list() -> None:
    """Name all keys by what may be shown of them, revoked ones too."""
    from ingest.keys_desk import listed
    from ingest.settings import KafkaOnly

    async def run(settings: KafkaOnly) -> None:
        typer.echo(
            "\n".join(await listed(settings.kafka))
            or "no key is made yet: stagepost keys create STOREFRONT --kind server"
        )

    run_main(KafkaOnly, run, service="keys list")


def keys_revoke(prefix: Annotated[str, typer.Argument(help="How the key begins, as `keys list` shows it.")]) -> None:
    """Take a key back, for good: within seconds its calls are answered 401."""
    from ingest.keys_desk import revoke
    from ingest.service import utc_now
    from ingest.settings import KafkaOnly

    async def run(settings: KafkaOnly) -> None:
        await revoke(prefix, settings.kafka, utc_now(), say=typer.echo)

    run_main(KafkaOnly, run, service="keys revoke")


def _aside(sentence: str) -> None:
    """Beside what goes to a file or a variable."""
    typer.echo(sentence, err=True)
