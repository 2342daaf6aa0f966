"""What the migrations must come to: the services' own tables."""

import re
from typing import Any

from notifier.tables import metadata as notifier
from services.revisions.tables import metadata as shop
from stage_engine.tables import metadata as engine

metadatas = [shop, engine, notifier]
SCHEMAS = ("shop", "engine", "notifier", "reporting")


def compared(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:  # noqa: ANN401, ARG001, FBT001  Alembic's interface
    """Leaves out what the tables don't declare: Alembic's own table, and the hash partitions of the history."""
    if kind == "table":
        schema = getattr(item, "schema", None)
        return schema in SCHEMAS and not re.fullmatch(r"events_\d+", name or "")
    if kind == "index" and reflected:
        return not re.match(r"events_\d+", item.table.name)
    return True
