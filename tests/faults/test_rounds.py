"""A short slice of `make faults`: real Kafka, Postgres and mail, engines killed and stopped, and a sound verdict."""

from faults_rounds import run

SEED = 4

FAULTS = ("2a", "3", "10", "18", "20", "34")
"""Those that are over within seconds."""


async def test_a_round_of_faults_is_sound() -> None:
    said: list[str] = []
    found = await run(SEED, 1, say=said.append, only=FAULTS, at_once=len(FAULTS))
    assert not found, "\n".join(said)
    assert not any("did not come" in line for line in said), "\n".join(said)
