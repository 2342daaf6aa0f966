"""What one more login costs into an account that many devices name: it must not grow with their number.

    python tests/bench/bench_crowd.py [DEVICES …]

Give STAGEPOST_POSTGRES__DSN of an empty database that may be filled (it is migrated first).
"""

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import sqlalchemy as sa
from engine_world import World

from migrations.migrate import upgrade
from services.contracts.identity import Identity, IdentityKind
from services.postgres import create_engine, transaction
from services.settings import PostgresSettings
from stage_engine.identity import MOST_POINTING, identity_id
from stage_engine.model.load import PRESETS, load_model

LOGINS = 30

CROWD = sa.text("""
    INSERT INTO engine.identities (id, storefront, kind, value, wants, wants_since, points_to, customer_id)
    SELECT gen_random_uuid(), :storefront, 4, 'crowd-' || n, :account, timestamptz '2026-03-03' + n * interval '1 s',
           CASE WHEN n <= :pointing THEN cast(:account AS uuid) END,
           CASE WHEN n <= :pointing THEN cast(:customer AS uuid) ELSE gen_random_uuid() END
      FROM generate_series(1, :devices) AS n
""")


async def main(sizes: list[int]) -> None:
    engine = create_engine(PostgresSettings(dsn=os.environ["STAGEPOST_POSTGRES__DSN"]), application="bench")
    await upgrade(engine)
    for devices in sizes:
        world = await World.opened(engine, load_model(PRESETS / "seven-stage.yaml"))
        await world.take(world.event("Customer Identified", 0, who={"user_id": "kiosk"}))
        account = identity_id(world.storefront, Identity(IdentityKind.USER_ID, "kiosk"))
        (customer,) = (await world.stands()).customers
        async with transaction(engine) as connection:
            said = {"storefront": world.storefront, "account": account, "customer": customer}
            await connection.execute(CROWD, {**said, "devices": devices, "pointing": min(devices, MOST_POINTING)})
        async with transaction(engine) as connection:
            await connection.execute(sa.text("ANALYZE engine.identities"))
        for what, at, name in (("later than all", 10**8, "z"), ("earlier than all", 10, "e")):
            took = []
            for n in range(LOGINS):
                who = {"user_id": "kiosk", "anonymous_id": f"{name}{n}"}
                login = world.event("Customer Identified", at + n, who=who)
                began = time.perf_counter()
                await world.take(login)
                took.append(time.perf_counter() - began)
            print(f"{devices:>7} devices, one more login, {what}: {1000 * statistics.median(took):.1f} ms (median)")
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main([int(size) for size in sys.argv[1:]] or [10, 1_000, 10_000, 100_000]))
