"""Real visitors: OTTO's 20 sessions, over HTTP, through real Kafka and Postgres."""

from collections.abc import Awaitable, Callable

import asyncpg
from otto import read_sessions
from visiting import Visit

Eventually = Callable[..., Awaitable[None]]


async def test_every_otto_visitor_is_in_the_stage_of_their_last_event(visit: Visit, eventually: Eventually) -> None:
    sessions = read_sessions()
    kinds = [row["type"] for session in sessions for row in session.rows]
    assert (kinds.count("clicks"), kinds.count("carts"), kinds.count("orders")) == (800, 52, 10)
    prefix = f"{visit.run}-"
    events = [event for session in sessions for event in session.events(prefix)]
    assert sum(event["name"] == "Order Completed" for event in events) == 5
    answer = await visit.http.post(
        f"{visit.stack['ingest']}/v1/events", json=events, headers={"X-Write-Key": visit.stack["write_key"]}
    )
    assert answer.json() == {"received": 857, "accepted": 857, "rejected": []}

    connection = await asyncpg.connect(visit.stack["postgres"])
    try:

        async def all_stored() -> bool:
            count = "SELECT count(*) FROM reporting.events WHERE event_id LIKE $1"
            return bool(await connection.fetchval(count, f"{prefix}%") == len(events))

        await eventually(all_stored)
        names = await connection.fetch(
            "SELECT name, count(*) FROM reporting.events WHERE event_id LIKE $1 GROUP BY name", f"{prefix}%"
        )
        assert dict(map(tuple, names)) == {"Product Viewed": 800, "Product Added": 52, "Order Completed": 5}

        async def all_heard() -> bool:
            behind = """SELECT count(*) FROM engine.customers AS told LEFT JOIN notifier.customers AS heard USING (id)
                         WHERE told.sequence > coalesce(heard.sequence, 0)"""
            return bool(await connection.fetchval(behind) == 0)

        await eventually(all_heard)
        mailed = await connection.fetchval(
            "SELECT count(*) FROM reporting.messages AS m JOIN reporting.events AS e USING (customer_id)"
            " WHERE e.event_id LIKE $1 AND m.status IN ('sent', 'sending', 'unknown')",
            f"{prefix}%",
        )
        assert mailed == 0, "2022 is stale"
    finally:
        await connection.close()

    for session in sessions:
        (then,) = await visit.customers(user_id=prefix + session.user, at=session.last.isoformat())
        assert then["tracks"]["lifecycle"][0]["stage"] == session.expected_stage(), session.user
        (now,) = await visit.customers(user_id=prefix + session.user)
        bought = session.expected_stage() in ("purchase", "retention")
        assert now["tracks"]["lifecycle"][0]["stage"] == ("churned" if bought else session.expected_stage())
        assert "active" not in {cart["stage"] for cart in now["tracks"]["cart"]}
