"""`stagepost pause`, `resume` and `switches`."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from notifier.switches import EVERYTHING, Scope
from services.commands import run_main
from services.durations import parse_duration
from services.panels import Panel

FollowUpName = Annotated[str | None, typer.Argument(help="A follow-up, as followups.yaml names it.")]
Channel = Annotated[str | None, typer.Option(help="All that goes by this channel, as in email.")]
Storefront = Annotated[str | None, typer.Option(help="All of this storefront.")]
Everything = Annotated[bool, typer.Option("--all", help="All there is.")]
By = Annotated[str | None, typer.Option(help="Who asks; your name on this machine without it.")]


def register(app: typer.Typer) -> None:
    for command in (pause, resume, switches):
        app.command(rich_help_panel=Panel.OPERATING)(command)


def pause(
    why: Annotated[str, typer.Option(help="For who finds it paused.")],
    follow_up: FollowUpName = None,
    channel: Channel = None,
    storefront: Storefront = None,
    everything: Everything = False,  # noqa: FBT002  how typer spells a flag
    lasting: Annotated[str | None, typer.Option("--for", help="Goes on by itself after this: 2h, 1d.")] = None,
    by: By = None,
) -> None:
    """Stop what would go out, within seconds; what is due waits: stagepost pause win-back --why "wrong coupon"."""
    from notifier import switch_desk

    target = _target(follow_up, channel, storefront, everything=everything)
    work = switch_desk.pausing(target, why=why, by=by or getpass.getuser(), until=_end(lasting))
    run_main(switch_desk.SwitchSettings, work, service="pause")


def resume(
    follow_up: FollowUpName = None,
    channel: Channel = None,
    storefront: Storefront = None,
    everything: Everything = False,  # noqa: FBT002  how typer spells a flag
    by: By = None,
) -> None:
    """Let go on what was paused; what waited and is still worth sending goes out."""
    from notifier import switch_desk

    target = _target(follow_up, channel, storefront, everything=everything)
    run_main(switch_desk.SwitchSettings, switch_desk.resuming(target, by=by or getpass.getuser()), service="resume")


def switches() -> None:
    """List what is paused, since when, by whom and why."""
    from notifier import switch_desk

    run_main(switch_desk.SwitchSettings, switch_desk.listing(), service="switches")


def _target(
    follow_up: str | None, channel: str | None, storefront: str | None, *, everything: bool
) -> tuple[Scope, str]:
    named = {
        Scope.FOLLOW_UP: follow_up,
        Scope.CHANNEL: channel,
        Scope.STOREFRONT: storefront,
        Scope.ALL: EVERYTHING if everything else None,
    }
    said = [(scope, name) for scope, name in named.items() if name is not None]
    if len(said) != 1:
        raise typer.BadParameter("name one thing: a follow-up, or --channel, --storefront or --all")
    return said[0]


def _end(lasting: str | None) -> datetime | None:
    try:
        return None if lasting is None else datetime.now(UTC) + parse_duration(lasting)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
