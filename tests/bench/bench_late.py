"""What a late event costs, and what a bot costs others: as ratios, on a scratch Postgres of the dev stack.

    python tests/bench/bench_late.py [EVENTS]

Give STAGEPOST_POSTGRES__DSN of an empty database that may be filled (it is migrated first).
"""

import asyncio
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from bot import Ground, bots_events, happened

from migrations.migrate import upgrade
from services.postgres import create_engine
from services.settings import PostgresSettings
from stage_engine.refolder import Refolder

BATCH = 1_000


async def main(count: int) -> None:
    engine = create_engine(PostgresSettings(dsn=os.environ["STAGEPOST_POSTGRES__DSN"]), application="bench")
    await upgrade(engine)
    ground = await Ground.of(engine)
    refolder = ground.refolder

    async def seconds_for(*users: str) -> float:
        """One batch of a thousand events of others, while whatever else goes on."""
        others = [event for user in users for event in bots_events(user, BATCH // len(users), seed=7)]
        began = time.perf_counter()
        await ground.take([ground.arrival(event) for event in others])
        return time.perf_counter() - began

    alone = min([await seconds_for(*(f"u{n}-{i}" for i in range(200))) for n in range(3)])
    print(f"baseline: a batch of {BATCH} events of 200 customers, alone: {alone:.3f} s")

    events = bots_events("bot", count, seed=1)
    background = asyncio.create_task(_forever(refolder))
    beside = []
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        await ground.take([ground.arrival(event) for event in events[start : start + BATCH]])
        if start % (10 * BATCH) == 0:
            beside.append(await seconds_for(*(f"v{start}-{i}" for i in range(200))))
    print(f"a bot's {count} shuffled events taken in: {time.perf_counter() - began:.1f} s")
    print(f"  others' batches meanwhile: {min(beside) / alone:.1f} to {max(beside) / alone:.1f} times the baseline")
    while (await ground.customer("bot")).refold_from is not None:  # noqa: ASYNC110  the refolder does not call back
        await asyncio.sleep(0.1)
    print(f"  the bot itself is folded after {time.perf_counter() - began:.1f} s")
    background.cancel()

    ordered = sorted(events, key=lambda event: event.occurred_at)
    for back in (10, 1_000, count):
        late = happened("bot", "Product Viewed", ordered[-back].occurred_at - timedelta(microseconds=1), product_id="x")
        began = time.perf_counter()
        await ground.take([ground.arrival(late)])
        held = time.perf_counter() - began
        while await refolder.step():
            pass
        print(
            f"an event late by {back} others: {held / alone:.2f} times the baseline in the batch, "
            f"{(time.perf_counter() - began) / alone:.2f} until it is folded"
        )
    await engine.dispose()


async def _forever(refolder: Refolder) -> None:
    while True:
        if not await refolder.step():
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
