"""Asks the checker about evidence that was harmed on purpose."""

from dataclasses import dataclass, replace
from typing import Any

from faults_checker import check
from faults_evidence import Evidence, Tables
from faults_recorded import RULES
from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True)
class Recorded:
    """Sound evidence, and the database that its tables were read from."""

    engine: AsyncEngine
    evidence: Evidence

    def verdict(self, **instead: Any) -> list[str]:  # noqa: ANN401  any part of the evidence
        """What is found with these parts of the evidence replaced."""
        return [str(v) for v in check(replace(self.evidence, **instead), RULES.model, RULES.storefronts)]

    async def harmed_by(self, *statements: str) -> list[str]:
        """What is found after these statements, none of which is committed."""
        async with self.engine.connect() as connection:
            for statement in statements:
                done = await connection.exec_driver_sql(statement)
                assert done.rowcount > 0 or statement.startswith("DROP"), f"it harmed nothing: {statement}"
            return self.verdict(tables=await Tables.seen_by(connection))
