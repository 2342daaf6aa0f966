"""Rounds: traffic, some faults at random, quiet, and the checker's verdict. `make faults SEED=… ROUNDS=…`."""

import argparse
import asyncio
import logging
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
from faults_checker import Violation, check
from faults_evidence import Expected
from faults_faults import AT_THE_END, ENGINES, FAULTS, Harm
from faults_traffic import Clients, Shoppers, as_sent
from faults_watching import Topics, evidence, settle
from faults_world import SHOP, World, world

from services.shop import load_shop
from stage_engine.model.load import load_model

RECOVERY = 60
"""Seconds after the last fault: I6."""
EVENTS_A_ROUND = 70


@dataclass(eq=False)
class Rounds:
    """Rounds on one world, each checked with all that was before it."""

    world: World
    clients: Clients
    topics: Topics
    rng: random.Random
    say: Callable[[str], None]
    expected: list[Expected] = field(default_factory=list)

    async def round(self, number: int, chosen: Sequence[str]) -> list[Violation]:
        run, rng = f"r{number}", self.rng
        harm = Harm(self.world, self.clients, self.topics, rng, run, self.say)
        batches = as_sent(rng, Shoppers(rng, run).calls(EVENTS_A_ROUND))
        traffic = asyncio.create_task(self.clients.send_all(batches, pause=rng.choice([0.05, 0.3, 0.8])))
        for name in (name for name in chosen if name in FAULTS):
            await asyncio.sleep(rng.uniform(0, 2))
            await self._do(harm, name, FAULTS[name])
            if not self.world.engines:
                await self.world.heal(ENGINES)
        await self.world.heal(ENGINES)
        await traffic
        for name in (name for name in chosen if name in AT_THE_END):
            await self._do(harm, name, AT_THE_END[name])
        await self.world.heal(ENGINES)
        self.expected += harm.expected
        return await self._verdict(harm)

    async def _do(self, harm: Harm, name: str, fault: Callable[[Harm], object]) -> None:
        self.say(f"   {name:>3}  {(fault.__doc__ or '').partition(': ')[2].splitlines()[0]}")
        await fault(harm)  # type: ignore[misc]  an async function

    async def _verdict(self, harm: Harm) -> list[Violation]:
        began = time.monotonic()
        left = await settle(self.world, self.topics, within=RECOVERY)
        took = time.monotonic() - began
        found = [Violation("I6", f"{RECOVERY} s after the last fault: {what}") for what in left]
        found += [Violation("I6", what) for what in (*harm.wrong, *self.world.unexpected_ends())]
        seen = await evidence(self.world, self.topics, frozenset(self.clients.acknowledged), self.expected)
        shop = load_shop(SHOP)
        found += check(seen, load_model(SHOP / "lifecycle.yaml"), shop.storefronts)
        ends = self.world.ended + sum(engine.ended for engine in self.world.engines)
        self.say(
            f"   settled after {took:.0f} s; {len(seen.acknowledged)} events acknowledged, "
            f"{len(seen.records)} records, {len(seen.tables.customers)} customers, "
            f"{len(seen.published)} changes, {len(seen.mails)} mails"
            + (f"; engines ended {ends} times by themselves" if ends else "")
        )
        return found


async def run(
    seed: int, rounds: int, *, say: Callable[[str], None], only: Sequence[str] = (), stop_at_once: bool = True
) -> list[Violation]:
    """All violations. The same seed draws the same traffic and faults; what the machine's timing adds is its own."""
    every = {**FAULTS, **AT_THE_END}
    bag: list[str] = []
    found: list[Violation] = []
    say(f"seed {seed}, {rounds} rounds")
    async with world() as made, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        topics = Topics(made.endpoints["kafka"])
        rng = random.Random(seed)  # noqa: S311  it is to be drawn again
        one = Rounds(made, Clients(made, http), topics, rng, say)
        await made.heal(ENGINES)
        for number in range(1, rounds + 1):
            while len(bag) < 3:  # every fault comes up before any comes a second time
                bag += rng.sample(list(only or every), len(only or every))
            chosen, bag = list(dict.fromkeys(bag[:3])), bag[3:]
            say(f"round {number}: {', '.join(chosen)}")
            wrong = await one.round(number, chosen)
            for violation in wrong[:20]:
                say(f"   {violation}")
            say(f"   {'sound' if not wrong else f'{len(wrong)} VIOLATIONS; its folder is {made.home.path}'}")
            found += wrong
            made.keep = bool(found)
            if wrong and stop_at_once:
                break
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=None, help="drawn when none is given")
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--only", default="", help="numbers of faults, as in 2a,5,20")
    given = options.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every broker that we kill
    only = [name for name in given.only.split(",") if name]
    try:
        found = asyncio.run(run(seed, given.rounds, say=say, only=only))
    except Exception:  # noqa: BLE001  the seed is to be said last, whatever happened
        traceback.print_exc()
        say(f"seed {seed} ended early")
        return 2
    say(f"seed {seed}: {'sound' if not found else f'{len(found)} violations'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
