"""Shopify's customers: who they are, whether they may be mailed, and what they may ask by law."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ingest.dialects.canonical import Said
from ingest.dialects.documents import Document, there
from ingest.dialects.reading import Call
from services.contracts.events import Name
from services.contracts.identity import Who
from services.contracts.privacy import PrivacyKind, PrivacyRequest

PRIVACY_TOPICS: Final = {
    "customers/data_request": PrivacyKind.ACCESS,
    "customers/redact": PrivacyKind.ERASE,
    "shop/redact": PrivacyKind.ERASE_STOREFRONT,
}


def person_of(document: Document, *, cart_token: str | None) -> tuple[Who, dict[str, Any]]:
    """Who stands in a checkout or an order: the address that was given there, else the customer's own."""
    customer = document.part("customer")
    who = Who(
        user_id=customer.id("id"),
        email=document.text("email", "contact_email") or customer.text("email"),
        phone=document.text("phone") or customer.text("phone"),
        cart_token=cart_token,
    )
    return who, {**_names(customer), **there(locale=document.text("customer_locale"))}


def customer_of(document: Document) -> tuple[Who, dict[str, Any]]:
    who = Who(user_id=document.id("id"), email=document.text("email"), phone=document.text("phone"))
    address = document.part("default_address")
    traits = {
        **_names(document),
        **there(
            email=who.email,
            phone=who.phone,
            created_at=document.text("created_at"),
            locale=document.text("locale"),
            city=address.text("city"),
            country=address.text("country_code"),
            tags=document.text("tags"),
        ),
    }
    return who, traits


def _names(customer: Document) -> dict[str, Any]:
    return there(first_name=customer.text("first_name"), last_name=customer.text("last_name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """`id` is the same whenever this word is repeated; None where it does not say when it was given."""

    name: str
    who: Who
    at: datetime | None
    id: str | None


def consent_of(document: Document) -> Consent | None:
    """None for who has said neither yes nor no: `not_subscribed`, `pending`, `invalid`, `redacted`.

    Without the time of the word, a yes is as old as the customer, so that it undoes no later no; a no is news.
    """
    said = document.part("email_marketing_consent")
    state = said.text("state")
    if state is None and "accepts_marketing" in document.said:
        state = "subscribed" if document.true("accepts_marketing") else None
    if state not in {"subscribed", "unsubscribed"}:
        return None
    customer = document.id("customer_id", "id")
    at = said.moment("consent_updated_at") or document.moment("accepts_marketing_updated_at")
    granted = state == "subscribed"
    stamp = at or (document.moment("created_at") if granted else None)
    return Consent(
        name=Name.EMAIL_SUBSCRIBED if granted else Name.EMAIL_UNSUBSCRIBED,
        who=named_in_consent(document),
        at=stamp or document.moment("updated_at"),
        id=f"shopify:consent:{customer}:{state}:{stamp.isoformat()}" if customer and stamp else None,
    )


def named_in_consent(document: Document) -> Who:
    return Who(
        user_id=document.id("customer_id", "id"),
        email=document.text("email_address", "email"),
        phone=document.text("phone"),
    )


def with_id(said: Said, event_id: str) -> Said:
    return replace(said, id=event_id)


def privacy_request(document: Document, topic: str, delivery_id: str, call: Call) -> PrivacyRequest:
    customer = document.part("customer")
    return PrivacyRequest(
        id=delivery_id,
        storefront=call.storefront,
        kind=PRIVACY_TOPICS[topic],
        who=Who(user_id=customer.id("id"), email=customer.text("email"), phone=customer.text("phone")),
        orders=tuple(document.texts("orders_requested") or document.texts("orders_to_redact")),
        asked_by=f"shopify {topic}",
        received_at=call.received_at,
    )
