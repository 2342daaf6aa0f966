"""What the notifier holds of changes that it reads from several partitions: each customer's in order, else in any."""

import random
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from notifier.holdings import Customer, Instance, apply
from services.contracts.changes import CustomerChange


def held_after(changes: Iterable[CustomerChange], rng: random.Random) -> dict[UUID, Instance]:
    """All are read, some customers' long before others'."""
    streams: dict[UUID, list[CustomerChange]] = defaultdict(list)
    for change in changes:
        streams[change.customer_id].append(change)
    customers: dict[UUID, Customer] = {}
    held: dict[UUID, Instance] = {}
    while streams:
        name = rng.choice(list(streams))
        for _ in range(rng.choice((1, 3, len(streams[name])))):
            if not streams[name]:
                break
            change = streams[name].pop(0)
            applied = apply(change, customers.get(name) or Customer(id=name, storefront=change.storefront), held)
            assert applied is not None, "no change is a repeat"
            customers[name] = applied.customer
            held |= {instance.instance: instance for instance in applied.instances}
        if not streams[name]:
            del streams[name]
    return held
