"""What an engine on a real Postgres has made of all that was said, against the pure reference fold of it."""

from datetime import timedelta

from engine_world import START, World
from reference import customers_by_identity, folded, histories
from subscriber import Subscriber, unnumbered

from tests.unit.stage_engine.builders import SEVEN

EVERYTHING = START + timedelta(days=2_000)


async def stands_as_the_reference(world: World) -> None:
    """Once all is known: who is whom, states, transitions, and what a subscriber makes of what is to be published."""
    await world.know(EVERYTHING)
    stands = await world.stands()
    customers = customers_by_identity(world.said, world.storefront, world.namespace)
    assert stands.identities == customers
    shop = world.rules.storefronts[world.storefront]
    expected = folded(histories(world.said, customers), SEVEN, EVERYTHING, shop)
    assert {id_: c.state for id_, c in stands.customers.items() if c.state.events} == {
        id_: fold.state for id_, fold in expected.items()
    }
    assert {id_: t for id_, t in stands.transitions.items() if t} == {
        id_: [move.transition for move in fold.moves] for id_, fold in expected.items()
    }
    subscriber = Subscriber()
    subscriber.read(stands.outbox)
    assert {i: held.instances for i, held in subscriber.customers.items() if held.instances} == {
        id_: unnumbered(held) for id_, held in stands.instances.items()
    }
