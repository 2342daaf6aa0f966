"""`stagepost preview --customer` at work: the words in a directory, with what the notifier holds of a customer."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notifier.followups_file import read_follow_ups
from notifier.preview_customer import Asked, preview_of
from notifier.render import Rendered, Renderer, RenderError
from services.errors import ConfigurationError
from services.postgres import check_migrated, create_engine, reading
from services.settings import PostgresSettings, Settings
from services.shop import default_shop, load_shop


class PreviewSettings(Settings):
    postgres: PostgresSettings


def showing(
    asked: Asked, directory: Path | None, show: Callable[[Rendered], None]
) -> Callable[[PreviewSettings], Coroutine[Any, Any, None]]:
    """The text of a change can be looked at with a real customer before it is applied."""

    async def work(settings: PreviewSettings) -> None:
        shop = load_shop(directory or default_shop())
        follow_ups, renderer = read_follow_ups(shop.file("followups.yaml")), Renderer(shop.directory)
        engine = create_engine(settings.postgres, application="preview")
        try:
            await check_migrated(engine)
            async with reading(engine) as connection:
                show(await preview_of(connection, shop, follow_ups, renderer, asked, datetime.now(UTC)))
        except RenderError as error:
            raise ConfigurationError(str(error)) from None
        finally:
            await engine.dispose()

    return work
