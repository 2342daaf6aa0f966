"""A visitor of the shop as tests play one: posts through the public API, and looks at what became of it."""

import uuid
from typing import Any

import httpx

from services.contracts.events import MESSAGE_EVENTS

FERN = {"product_id": "fern", "name": "Boston fern", "price": 24.9, "quantity": 2}


class Visit:
    """One test's visitors: their names are its own, so that tests can share a stack."""

    def __init__(self, http: httpx.AsyncClient, stack: dict[str, str]) -> None:
        self.http = http
        self.stack = stack
        self.run = uuid.uuid4().hex[:8]
        self.user = f"user-{self.run}"
        self.email = f"{self.user}@example.com"

    async def post(self, name: str, /, **fields: Any) -> None:  # noqa: ANN401  any JSON
        event = {"id": uuid.uuid4().hex, "name": name, "user_id": self.user, **fields}
        answer = await self.http.post(
            f"{self.stack['ingest']}/v1/events", json=event, headers={"X-Write-Key": self.stack["write_key"]}
        )
        assert answer.json() == {"received": 1, "accepted": 1, "rejected": []}

    async def customers(self, **who: str) -> list[dict[str, Any]]:
        answer = await self.http.get(
            f"{self.stack['stage_engine']}/v1/customers",
            params=who or {"user_id": self.user},
            headers={"Authorization": f"Bearer {self.stack['operator_key']}"},
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["customers"]
        return found

    async def events(self, **who: str) -> list[dict[str, Any]]:
        """What happened to whom there is one of, oldest first; nothing where nobody is known yet."""
        found = await self.customers(**who)
        if not found:
            return []
        (customer,) = found
        answer = await self.http.get(
            f"{self.stack['stage_engine']}/v1/customers/{customer['id']}/timeline",
            headers={"Authorization": f"Bearer {self.stack['operator_key']}"},
        )
        return [item for item in answer.json()["timeline"] if item["kind"] == "event"]

    async def did(self, **who: str) -> list[dict[str, Any]]:
        """Of that, what they did themselves: what our mail met with comes back to the engine whenever it does."""
        return [event for event in await self.events(**who) if event["name"] not in MESSAGE_EVENTS]

    async def came(self, track: str, **who: str) -> dict[str, Any]:
        """What brought the one customer there is where they stand on a track of their own, as `why` says it."""
        (customer,) = await self.customers(**who)
        answer = await self.http.get(
            f"{self.stack['stage_engine']}/v1/customers/{customer['id']}/why",
            headers={"Authorization": f"Bearer {self.stack['operator_key']}"},
        )
        (found,) = [instance["came"] for instance in answer.json()["instances"] if instance["track"] == track]
        came: dict[str, Any] = found
        return came

    async def stage(self, track: str) -> str | None:
        found = [standing["stage"] for c in await self.customers() for standing in c["tracks"][track]]
        return found[-1] if found else None

    async def mails(self, to: str | None = None) -> list[str]:
        """Subjects, newest first."""
        answer = await self.http.get(f"{self.stack['mailbox']}/api/v1/messages", params={"limit": 500})
        return [m["Subject"] for m in answer.json()["messages"] if m["To"][0]["Address"] == (to or self.email)]

    async def parts(self, subject: str, to: str | None = None) -> list[tuple[str, str]]:
        """The text and the HTML of each mail of this subject."""
        url = f"{self.stack['mailbox']}/api/v1/message"
        listed = (await self.http.get(f"{url}s", params={"limit": 500})).json()["messages"]
        address = to or self.email
        mine = [m["ID"] for m in listed if m["To"][0]["Address"] == address and m["Subject"] == subject]
        found = [(await self.http.get(f"{url}/{one}")).json() for one in mine]
        return [(one["Text"], one["HTML"]) for one in found]

    async def messages(self) -> list[dict[str, Any]]:
        """What the notifier has of this customer, sent or not."""
        (customer,) = await self.customers()
        answer = await self.http.get(
            f"{self.stack['notifier']}/v1/customers/{customer['id']}/messages",
            headers={"Authorization": f"Bearer {self.stack['operator_key']}"},
        )
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found
