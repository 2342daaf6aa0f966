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
EVENTS_A_ROUND = 60
TRICKLE = 4


def _drawn(what: str) -> random.Random:
    return random.Random(what)  # noqa: S311  it is to be drawn again


@dataclass(eq=False)
class Rounds:
    """Rounds on one world, each checked with all that was before it."""

    world: World
    clients: Clients
    topics: Topics
    seed: int
    say: Callable[[str], None]
    expected: list[Expected] = field(default_factory=list)

    async def round(self, number: int, chosen: Sequence[str]) -> list[Violation]:
        """Traffic and faults are drawn apart: how long a fault takes changes nothing of what is sent first."""
        run, rng = f"r{number}", _drawn(f"{self.seed} {number} faults")
        harm = Harm(self.world, self.clients, self.topics, rng, run, self.say)
        over = asyncio.Event()
        traffic = asyncio.create_task(self._traffic(_drawn(f"{self.seed} {number} traffic"), run, over))
        for name in (name for name in chosen if name in FAULTS):
            await asyncio.sleep(rng.uniform(0, 2))
            await self._do(harm, name, FAULTS[name])
            if not self.world.engines:
                await self.world.heal(ENGINES)
        await self.world.heal(ENGINES)
        over.set()
        await traffic
        for name in (name for name in chosen if name in AT_THE_END):
            await self._do(harm, name, AT_THE_END[name])
        await self.world.heal(ENGINES)
        self.expected += harm.expected
        return await self._verdict(harm)

    async def _traffic(self, rng: random.Random, run: str, over: asyncio.Event) -> None:
        """A round's events, and then a trickle for as long as faults go on, since a fault needs something to hit."""
        shoppers = Shoppers(rng, run)
        await self.clients.send_all(as_sent(rng, shoppers.calls(EVENTS_A_ROUND)), pause=rng.choice([0.05, 0.3, 0.8]))
        while not over.is_set():
            await self.clients.send_all(as_sent(rng, shoppers.calls(TRICKLE)), pause=1.0)

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
    seed: int, rounds: int, *, say: Callable[[str], None], only: Sequence[str] = (), at_once: int = 3
) -> list[Violation]:
    """The violations of the first round that has any. A seed draws faults and traffic; timing is the machine's own."""
    every = {**FAULTS, **AT_THE_END}
    bag: list[str] = []
    found: list[Violation] = []
    say(f"seed {seed}, {rounds} rounds")
    async with world() as made, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        topics = Topics(made.endpoints["kafka"])
        rng = _drawn(f"{seed} rounds")
        one = Rounds(made, Clients(made, http), topics, seed, say)
        await made.heal(ENGINES)
        for number in range(1, rounds + 1):
            while len(bag) < at_once:  # every fault comes up before any comes a second time
                bag += rng.sample(list(only or every), len(only or every))
            chosen, bag = list(dict.fromkeys(bag[:at_once])), bag[at_once:]
            say(f"round {number}: {', '.join(chosen)}")
            wrong = await one.round(number, chosen)
            for violation in wrong[:20]:
                say(f"   {violation}")
            say(f"   {'sound' if not wrong else f'{len(wrong)} VIOLATIONS; its folder is {made.home.path}'}")
            found += wrong
            made.stack.keep = bool(found)
            if wrong:
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
    except KeyboardInterrupt:
        say(f"seed {seed} was stopped by hand")
        return 130
    except Exception:  # noqa: BLE001  the seed is to be said last, whatever happened
        traceback.print_exc()
        say(f"seed {seed} ended early")
        return 2
    say(f"seed {seed}: {'sound' if not found else f'{len(found)} violations'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
