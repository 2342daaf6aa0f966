"""How a command line meets a service: its settings from the environment, errors as one sentence, exit codes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import typer
import uvloop

from services.errors import StagepostError, Unreachable
from services.settings import Settings
from services.telemetry import configure_logging

EXIT_NEEDS_A_PERSON = 2
"""For a supervisor: starting again changes nothing until somebody has mended what the message names."""

S = TypeVar("S", bound=Settings)


def run_main(settings: type[S], main: Callable[[S], Coroutine[Any, Any, None]], *, service: str) -> None:
    """Loads the settings, logs as they say, runs `main(settings)` to its end."""
    try:
        loaded = settings.load()
        configure_logging(loaded.log, service=service)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(loaded))
    except Unreachable as error:
        typer.echo(f"stagepost {service}: {error}", err=True)
        raise typer.Exit(1) from None
    except StagepostError as error:
        typer.echo(f"stagepost {service}: {error}", err=True)
        raise typer.Exit(EXIT_NEEDS_A_PERSON) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
