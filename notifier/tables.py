"""The schema `notifier`: what it has read, what it knows of customers, and every message with its outcome."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from notifier.status import DUE, Status
from services.offsets import offsets_table

SCHEMA: Final = "notifier"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={"pk": "%(table_name)s_pkey", "ck": "%(table_name)s_%(constraint_name)s"},
)

offsets = offsets_table(metadata, SCHEMA)


def _one_of(statuses: tuple[Status, ...]) -> str:
    return "status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")"


customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("storefront", sa.Text, nullable=False),
    # The last number of the customer's stream that was taken in: what is not above it is a repeat.
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("profile", JSONB, nullable=False),
    sa.Column("hold", sa.Text),
    # Number of the last join or split that replaced this customer's table; 0 before any.
    sa.Column("table_number", sa.BigInteger, nullable=False),
    sa.Column("part_of", sa.Uuid),
    sa.Index("customers_by_part_of", "part_of", postgresql_where=sa.text("part_of IS NOT NULL")),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("instance", sa.Uuid, primary_key=True),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    # None: nowhere now. The row stays, because it remembers which moves may start nothing (`replay`).
    sa.Column("stage", sa.Text),
    sa.Column("since", sa.DateTime(timezone=True)),
    sa.Column("subject", JSONB, nullable=False),
    sa.Column("moves", JSONB, nullable=False),
    # Number of the join or split under which `customer_id` came to hold it. Older news of others is ignored.
    sa.Column("moved_by", sa.BigInteger, nullable=False),
    sa.Index("instances_by_customer", "customer_id"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("follow_up", sa.Text, nullable=False),
    # Which of the follow-up's messages it is, from 1.
    sa.Column("step", sa.SmallInteger, nullable=False),
    # The first that its step names, until the guard finds that another is the one that can reach the customer.
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("instance", sa.Uuid, nullable=False),
    sa.Column("transition", sa.Uuid, nullable=False),
    # What it may be sent once for, and the event that started it, each as one id (`notifier.plan`).
    sa.Column("occasion", sa.Uuid, nullable=False),
    sa.Column("cause", sa.Uuid, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("answer", sa.Text),
    # `at` is when its transition happened, in event time; the rest is our clock's.
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    # Becomes the Date header: a second attempt must look like the first to who compares them.
    sa.Column("first_sending_at", sa.DateTime(timezone=True)),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    # What is decided when it is marked `sending`, and stays for the next attempt.
    sa.Column("purpose", sa.Text),
    sa.Column("variant", sa.Text),
    sa.Column("coupon_code", sa.Text),
    sa.Column("coupon_expires_at", sa.DateTime(timezone=True)),
    # Under which customer's id they were drawn into a holdout or a variant: a join draws nobody anew.
    sa.Column("drawn_as", sa.Uuid),
    sa.Column("claimed_by", sa.Uuid),
    sa.Column("lease_until", sa.DateTime(timezone=True)),
    sa.Column("address", sa.Text),
    # How it went: live, shadow, redirect. The subject is kept of what lies in nobody's mailbox.
    sa.Column("delivery", sa.Text),
    sa.Column("subject", sa.Text),
    # It went to the shop's own people: what becomes of it is nothing that the customer did. Null until it is marked.
    sa.Column("to_staff", sa.Boolean),
    # Attempts that the other side answered for good or ill, and how many may have delivered for all we know.
    sa.Column("attempts", sa.SmallInteger, nullable=False),
    sa.Column("unknowns", sa.SmallInteger, nullable=False),
    sa.CheckConstraint(_one_of(tuple(Status)), name="status_known"),
    # Either blocks, so neither a correction nor a join can send again. A cancelled row has sent nothing.
    sa.Index(
        "messages_once_per_occasion",
        "follow_up",
        "occasion",
        "step",
        unique=True,
        postgresql_where=sa.text(f"status <> '{Status.CANCELLED}'"),
    ),
    sa.Index(
        "messages_once_per_cause",
        "follow_up",
        "cause",
        "step",
        unique=True,
        postgresql_where=sa.text(f"status <> '{Status.CANCELLED}'"),
    ),
    # By channel: what piles up for one that rests is not gone through for another.
    sa.Index("messages_due", "channel", "due_at", postgresql_where=sa.text(_one_of(DUE))),
    # A lane's, where those of another lane that hangs have piled up before them.
    sa.Index(
        "messages_due_by_step",
        "storefront",
        "follow_up",
        "step",
        "due_at",
        postgresql_where=sa.text(f"{_one_of(DUE)} AND channel = 'webhook'"),
    ),
    # Who subscribes again has it decided anew; without this all there ever was would be gone through for it.
    sa.Index(
        "messages_suppressed",
        "storefront",
        postgresql_where=sa.text(f"status = '{Status.WITHHELD}' AND reason = 'suppressed'"),
    ),
    sa.Index("messages_leased", "lease_until", postgresql_where=sa.text(_one_of((Status.CLAIMED, Status.SENDING)))),
    sa.Index("messages_by_customer", "customer_id", "created_at"),
    sa.Index("messages_by_instance", "instance"),
    sa.Index("messages_by_time", "created_at"),
)

spent_claims = sa.Table(
    "spent_claims",
    metadata,
    # An address that only a browser said is good for one mail: by address and by customer, whoever comes first. Where
    # it came from is a keyed hash (`Address.network`), null where nobody said.
    sa.Column("storefront", sa.Text, primary_key=True),
    sa.Column("address_sha256", sa.LargeBinary, primary_key=True),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("message_id", sa.Uuid, nullable=False),
    sa.Column("network", sa.Text),
    sa.Column("spent_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("spent_claims_once_per_customer", "customer_id", unique=True),
    sa.Index("spent_claims_recent", "storefront", "spent_at"),
)

known_until = sa.Table(
    "known_until",
    metadata,
    # A row a partition of the topic, from the first start on, so that one nobody reads holds back all mail.
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("known_until", sa.DateTime(timezone=True), nullable=False),
)

stream = sa.Table(
    "stream",
    metadata,
    # Written by `stagepost restored` alone; without a row the database is the first. Changes of lower epochs are of a
    # time that was taken back, and what was due before may have been sent then.
    sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("row = 1", name="one_row"),
)

kept_from = sa.Table(
    "kept_from",
    metadata,
    # Of moves before `at` there may have been messages that are kept no longer (`retention`): none is planned for them.
    sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("row = 1", name="one_row"),
)

spent_occasions = sa.Table(
    "spent_occasions",
    metadata,
    # Had their message, which is kept no longer: a cart that is left again after years is still one cart.
    sa.Column("follow_up", sa.Text, primary_key=True),
    sa.Column("step", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("occasion", sa.Uuid, primary_key=True),
)

follow_ups = sa.Table(
    "follow_ups",
    metadata,
    # Of the revision in force. What started one before `since` did not start this one.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("leaving", sa.Boolean, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
)

disabled_endpoints = sa.Table(
    "disabled_endpoints",
    metadata,
    # Webhooks' endpoints that answered 410, by `storefront/name`, until an operator enables them again.
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
)

products = sa.Table(
    "products",
    metadata,
    sa.Column("storefront", sa.Text, primary_key=True),
    sa.Column("product_id", sa.Text, primary_key=True),
    # The variant that the record on the topic is about; empty where it is about the product and all its variants.
    sa.Column("record", sa.Text, primary_key=True),
    # The variant that this row is about; empty for the product itself.
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("sku", sa.Text),
    # When its platform changed it: what is older changes nothing.
    sa.Column("updated_at", sa.DateTime(timezone=True)),
    sa.Column("said", JSONB, nullable=False),
    sa.Index("products_by_sku", "storefront", "sku", postgresql_where=sa.text("sku IS NOT NULL")),
    sa.Index("products_by_variant", "storefront", "variant", postgresql_where=sa.text("variant <> ''")),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
)

outbox = sa.Table(
    "outbox",
    metadata,
    # Events for `storefront.events`. Gone some days after they were published.
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("record_key", sa.LargeBinary, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("leased_until", sa.DateTime(timezone=True)),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Index("outbox_once", "storefront", "event_id", unique=True),
    sa.Index("outbox_waiting", "id", postgresql_where=sa.text("published_at IS NULL")),
    sa.Index("outbox_published", "published_at", postgresql_where=sa.text("published_at IS NOT NULL")),
)

choices = sa.Table(
    "choices",
    metadata,
    # What was chosen on our pages, by channel or topic, until the engine's profile says it too.
    sa.Column("customer_id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("yes", sa.Boolean, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("choices_by_time", "at"),
)

answers = sa.Table(
    "answers",
    metadata,
    # The last answer to each survey of a message: its event, and the how manieth other one it was.
    sa.Column("message_id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    # One that was lifted stays, with by what: somebody will ask why mail began again.
    sa.Column("storefront", sa.Text, primary_key=True),
    sa.Column("address_sha256", sa.LargeBinary, primary_key=True),
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("lifted_at", sa.DateTime(timezone=True)),
    sa.Column("lifted_why", sa.Text),
    sa.CheckConstraint("scope IN ('all', 'marketing')", name="scope_known"),
    sa.Index("suppressions_by_address", "address_sha256"),
)

switches = sa.Table(
    "switches",
    metadata,
    # What is paused (`notifier.switches`). `name` is `*` for all; `until` is null where only a person ends it.
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True)),
    sa.CheckConstraint("scope IN ('all', 'storefront', 'channel', 'follow_up')", name="scope_known"),
)

allowances = sa.Table(
    "allowances",
    metadata,
    # Follow-ups that the blast guard leaves alone until then, because a person let them go on.
    sa.Column("follow_up", sa.Text, primary_key=True),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)

volumes = sa.Table(
    "volumes",
    metadata,
    # How many messages of a follow-up were handed over for the first time in an hour, and how many only in the shadow.
    sa.Column("follow_up", sa.Text, primary_key=True),
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("live", sa.Integer, nullable=False),
    sa.Column("shadow", sa.Integer, nullable=False),
)
