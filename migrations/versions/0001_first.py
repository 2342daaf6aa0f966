"""The first schema: the shop, events that belong to identities, customers that are their roots, and their messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

EVENT_PARTITIONS = 8  # of the history, by identity: enough to vacuum and to spread, few enough to plan quickly
SCHEMAS = ("shop", "engine", "notifier", "reporting")

VIEWS = {
    "events": """
        -- Of copies with one event id the one received first counts, as in the fold.
        SELECT DISTINCT ON (identity.customer_id, event.event_id)
               event.storefront, identity.customer_id, event.event_id, event.name, event.occurred_at,
               event.received_at, event.said_by, event.properties, event.traits, event.context, event.imported_at
          FROM engine.events AS event
          JOIN engine.identities AS identity ON identity.id = event.identity_id
         ORDER BY identity.customer_id, event.event_id, event.received_at, event.body
    """,
    "orders": """
        -- One row an order: the latest version of it that the order book has.
        SELECT DISTINCT ON (book.customer_id, book.key)
               customer.storefront, book.customer_id, book.key AS order_id, book.completed_at, book.currency,
               book.revenue, book.total, book.refunded, book.refunded_whole, book.cancelled
          FROM engine.orders AS book
          JOIN engine.customers AS customer ON customer.id = book.customer_id
         ORDER BY book.customer_id, book.key, book.changed_at DESC, book.changed_rank DESC, book.changed_id DESC
    """,
    "stages": """
        SELECT storefront, track, stage, count(*) AS instances, count(DISTINCT customer_id) AS customers
          FROM engine.instances
         GROUP BY storefront, track, stage
    """,
    "transitions": """
        SELECT customer.storefront, transition.customer_id, transition.id, transition.at, transition.number,
               transition.body ->> 'instance' AS instance, transition.body ->> 'track' AS track,
               transition.body ->> 'key' AS key, transition.body ->> 'from_stage' AS from_stage,
               transition.body ->> 'to_stage' AS to_stage,
               transition.body ->> 'rule' AS rule, transition.body ->> 'reason' AS reason,
               transition.body -> 'facts' AS facts, transition.body -> 'cause' ->> 'event_id' AS cause
          FROM engine.transitions AS transition
          JOIN engine.customers AS customer ON customer.id = transition.customer_id
         WHERE NOT transition.retracted
    """,
    "messages": """
        SELECT storefront, follow_up, step, variant, channel, customer_id, instance, status, reason, created_at,
               sent_at, due_at, delivery, coupon_code
          FROM notifier.messages
    """,
}


def upgrade() -> None:  # noqa: PLR0915  one statement a table
    _make_schemas_and_shop()
    op.execute("CREATE SEQUENCE engine.table_numbers")
    op.create_table(
        "customers",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("root", sa.UUID(), nullable=False, comment="the identity that the id was made of"),
        sa.Column(
            "sequence", sa.BigInteger(), server_default="0", nullable=False, comment="of the last change; never falls"
        ),
        sa.Column(
            "state",
            sa.LargeBinary(),
            nullable=True,
            comment="stage_engine.state.State as JSON; null before the first fold",
        ),
        sa.Column(
            "revision",
            sa.BigInteger(),
            nullable=True,
            comment="of the shop, that the state was folded by (its folded_as); null before the first fold",
        ),
        sa.Column("next_wake", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "waits_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="with waits_rank and waits_id: the first event that waits",
        ),
        sa.Column("waits_rank", sa.SmallInteger(), nullable=True),
        sa.Column("waits_id", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "refold_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="with refold_rank and refold_id: the background refolder is to begin here",
        ),
        sa.Column("refold_rank", sa.SmallInteger(), nullable=True),
        sa.Column("refold_id", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "arrived_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="likewise: the first of what came since the refolder began",
        ),
        sa.Column("arrived_rank", sa.SmallInteger(), nullable=True),
        sa.Column("arrived_id", sa.Text(collation="C"), nullable=True),
        sa.Column(
            "joined",
            postgresql.JSONB(),
            nullable=True,
            comment="a join or split that the next fold is to publish: its number, the other customers",
        ),
        sa.Column("hold", sa.Text(), nullable=True, comment="why nothing may be sent: null when it may"),
        sa.Column("broken", sa.Text(), nullable=True, comment="what the fold stumbled over; mended by a re-fold"),
        sa.Column("broken_by", sa.BigInteger(), nullable=True, comment="the revision whose fold stumbled"),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when the row was made",
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="engine",
    )
    op.create_index(
        "customers_to_refold",
        "customers",
        ["refold_at"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("refold_at IS NOT NULL"),
    )
    op.create_index("customers_by_revision", "customers", ["storefront", "revision"], unique=False, schema="engine")
    op.create_index(
        "customers_broken",
        "customers",
        ["broken_by"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("broken_by IS NOT NULL"),
    )
    op.create_index("customers_by_root", "customers", ["root"], unique=False, schema="engine")
    op.create_index(
        "customers_to_wake",
        "customers",
        ["next_wake"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("next_wake IS NOT NULL"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("events", sa.Integer(), autoincrement=False, nullable=False, comment="how many were folded"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="with rank and event_id: the position of the last of them",
        ),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "events"),
        schema="engine",
    )
    op.create_table(
        "baselines",
        sa.Column("id", sa.UUID(), nullable=False, comment="the identity that it belongs to, as events do"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="with rank and event_id: the last event that it stands for",
        ),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="stage_engine.state.State as JSON"),
        sa.Column(
            "taken_apart",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="it is approximate for ever",
        ),
        sa.PrimaryKeyConstraint("id"),
        schema="engine",
    )
    op.create_table(
        "baseline_identities",
        sa.Column("identity_id", sa.UUID(), nullable=False, comment="whose events are not kept"),
        sa.Column("baseline", sa.UUID(), nullable=False, comment="what stands for them"),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="with rank and event_id: up to here they are not kept",
        ),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("identity_id"),
        schema="engine",
    )
    op.create_index(
        "baseline_identities_by_baseline", "baseline_identities", ["baseline"], unique=False, schema="engine"
    )
    op.create_table(
        "baseline_orders",
        sa.Column("baseline", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="with changed_rank and changed_id: which event made it so",
        ),
        sa.Column("changed_rank", sa.SmallInteger(), nullable=False),
        sa.Column("changed_id", sa.Text(collation="C"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("revenue", sa.Numeric(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("refunded", sa.Numeric(), nullable=False),
        sa.Column("refunded_whole", sa.Boolean(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("baseline", "key"),
        schema="engine",
    )
    op.create_table(
        "baseline_moves",
        sa.Column("baseline", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "body",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="services.contracts.changes.Transition",
        ),
        sa.PrimaryKeyConstraint("baseline", "number"),
        schema="engine",
    )
    op.create_table(
        "dead_letters",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column(
            "replayed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when an operator put it on the topic again",
        ),
        sa.PrimaryKeyConstraint("topic", "partition", "record_offset"),
        schema="engine",
    )
    op.create_table(
        "events",
        sa.Column("identity_id", sa.UUID(), nullable=False),
        sa.Column("event_key", sa.UUID(), nullable=False, comment="a hash of event_id"),
        sa.Column("event_id", sa.Text(collation="C"), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "rank", sa.SmallInteger(), nullable=False, comment="services.contracts.events.rank_of when it was stored"
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="hash of all but when and whence it came"),
        sa.Column("who", postgresql.JSONB(), nullable=False),
        sa.Column("properties", postgresql.JSONB(), nullable=False),
        sa.Column("traits", postgresql.JSONB(), nullable=False),
        sa.Column("context", postgresql.JSONB(), nullable=False),
        sa.Column(
            "imported_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the import began that brought it; null for what came live",
        ),
        sa.Column(
            "network",
            sa.Text(),
            nullable=True,
            comment="a keyed hash of where a browser called from; null for what a server said",
        ),
        sa.PrimaryKeyConstraint("identity_id", "event_key"),
        schema="engine",
        postgresql_partition_by="HASH (identity_id)",
    )
    op.create_index(
        "events_in_order", "events", ["identity_id", "occurred_at", "rank", "event_id"], unique=False, schema="engine"
    )
    op.create_table(
        "identities",
        sa.Column("id", sa.UUID(), nullable=False, comment="identity_id(storefront, kind, value)"),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False, comment="services.contracts.identity.IdentityKind"),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "wants",
            sa.UUID(),
            nullable=True,
            comment="what its links decide: a stronger identity, or by alias another account",
        ),
        sa.Column(
            "wants_since", sa.DateTime(timezone=True), nullable=True, comment="the time of the link that decides"
        ),
        sa.Column(
            "points_to",
            sa.UUID(),
            nullable=True,
            comment="what it wants, if it is one of the earliest that do; null at a root",
        ),
        sa.Column("customer_id", sa.UUID(), nullable=False, comment="where the pointers end"),
        sa.PrimaryKeyConstraint("id"),
        schema="engine",
    )
    op.create_index("identities_by_customer", "identities", ["customer_id"], unique=False, schema="engine")
    op.create_index(
        "identities_by_target",
        "identities",
        ["points_to", "wants_since", "kind"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("points_to IS NOT NULL"),
    )
    op.create_index(
        "identities_by_wish",
        "identities",
        ["wants", "wants_since", "kind"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("wants IS NOT NULL"),
    )
    op.create_table(
        "instances",
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("instance", sa.UUID(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="as shown: `key` or `key#2`"),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "instance"),
        schema="engine",
    )
    op.create_index("instances_by_stage", "instances", ["storefront", "track", "stage"], unique=False, schema="engine")
    op.create_table(
        "links",
        sa.Column("weak", sa.UUID(), nullable=False),
        sa.Column("strong", sa.UUID(), nullable=False),
        sa.Column(
            "strong_kind",
            sa.SmallInteger(),
            nullable=False,
            comment="of the strong end, for the order of the index",
        ),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the earliest time at which any copy of any event said so",
        ),
        sa.PrimaryKeyConstraint("weak", "strong"),
        schema="engine",
    )
    op.create_index("links_by_strength", "links", ["weak", "strong_kind", "at"], unique=False, schema="engine")
    op.create_table(
        "offsets",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition"),
        schema="engine",
    )
    op.create_table(
        "orders",
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="with changed_rank and changed_id: which event made it so",
        ),
        sa.Column("changed_rank", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_id", sa.Text(collation="C"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("revenue", sa.Numeric(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False),
        sa.Column("refunded", sa.Numeric(), nullable=False),
        sa.Column("refunded_whole", sa.Boolean(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "key", "changed_at", "changed_rank", "changed_id"),
        schema="engine",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slice", sa.SmallInteger(), nullable=False, comment="of customers: one publisher at a time for each"),
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False, comment="the record's bytes: a repeat is the same"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, comment="wall clock: the record's ce_time"),
        sa.Column(
            "epoch", sa.Integer(), nullable=False, comment="of the stream: raised when the database was restored"
        ),
        sa.Column("published", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=True,
            comment="the order within its slice in which it was first published",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("customer_id", "sequence", name="outbox_sequence"),
        schema="engine",
    )
    op.create_index(
        "outbox_by_position",
        "outbox",
        ["slice", "position"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("position IS NOT NULL"),
    )
    op.create_index(
        "outbox_unpublished",
        "outbox",
        ["slice", "id"],
        unique=False,
        schema="engine",
        postgresql_where=sa.text("NOT published"),
    )
    op.create_table(
        "slices",
        sa.Column("slice", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="the last that was given to a published change"),
        sa.Column("forgotten", sa.BigInteger(), nullable=False, comment="the greatest of the changes that are deleted"),
        sa.PrimaryKeyConstraint("slice"),
        schema="engine",
    )
    op.create_table(
        "storefronts",
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("namespace", sa.UUID(), nullable=False, comment="secret: customers' ids are made with it"),
        sa.PrimaryKeyConstraint("storefront"),
        schema="engine",
    )
    op.create_table(
        "stream",
        sa.Column("row", sa.SmallInteger(), autoincrement=False, server_default="1", nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False, comment="without a row it is the first"),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("row = 1", name="one_stream"),
        sa.PrimaryKeyConstraint("row"),
        schema="engine",
    )
    op.create_table(
        "transitions",
        sa.Column("customer_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="order within the customer's surviving transitions"),
        sa.Column("retracted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False, comment="services.contracts.changes.Transition"),
        sa.PrimaryKeyConstraint("customer_id", "id"),
        schema="engine",
    )
    op.create_index("transitions_by_number", "transitions", ["customer_id", "number"], unique=False, schema="engine")
    op.create_index("transitions_by_time", "transitions", ["at"], unique=False, schema="engine")
    op.create_table(
        "watermark",
        sa.Column("row", sa.SmallInteger(), autoincrement=False, server_default="1", nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="up to here everything that was received has been folded",
        ),
        sa.CheckConstraint("row = 1", name="one_row"),
        sa.PrimaryKeyConstraint("row"),
        schema="engine",
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("profile", postgresql.JSONB(), nullable=False),
        sa.Column("hold", sa.Text(), nullable=True),
        sa.Column("table_number", sa.BigInteger(), nullable=False),
        sa.Column("part_of", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("customers_pkey")),
        schema="notifier",
    )
    op.create_index(
        "customers_by_part_of",
        "customers",
        ["part_of"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("part_of IS NOT NULL"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", "offset", name=op.f("dead_letters_pkey")),
        schema="notifier",
    )
    op.create_table(
        "disabled_endpoints",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("disabled_endpoints_pkey")),
        schema="notifier",
    )
    op.create_table(
        "instances",
        sa.Column("instance", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("subject", postgresql.JSONB(), nullable=False),
        sa.Column("moves", postgresql.JSONB(), nullable=False),
        sa.Column("moved_by", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("instances_pkey")),
        schema="notifier",
    )
    op.create_index("instances_by_customer", "instances", ["customer_id"], unique=False, schema="notifier")
    op.create_table(
        "known_until",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("known_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("known_until_pkey")),
        schema="notifier",
    )
    op.create_table(
        "products",
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("storefront", "product_id", "record", "variant", name=op.f("products_pkey")),
        schema="notifier",
    )
    op.create_index(
        "products_by_sku",
        "products",
        ["storefront", "sku"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("sku IS NOT NULL"),
    )
    op.create_index(
        "products_by_variant",
        "products",
        ["storefront", "variant"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("variant <> ''"),
    )
    op.create_table(
        "follow_ups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("leaving", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("follow_ups_pkey")),
        schema="notifier",
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("instance", sa.Uuid(), nullable=False),
        sa.Column("transition", sa.Uuid(), nullable=False),
        sa.Column("occasion", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_sending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("variant", sa.Text(), nullable=True),
        sa.Column("coupon_code", sa.Text(), nullable=True),
        sa.Column("coupon_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drawn_as", sa.Uuid(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("to_staff", sa.Boolean(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("unknowns", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'claimed', 'sending', 'sent', 'retry', 'dead', 'unknown', 'withheld', 'cancelled', "
            "'shadowed')",
            name=op.f("messages_status_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("messages_pkey")),
        schema="notifier",
    )
    op.create_index("messages_by_customer", "messages", ["customer_id", "created_at"], unique=False, schema="notifier")
    op.create_index("messages_by_instance", "messages", ["instance"], unique=False, schema="notifier")
    op.create_index("messages_by_time", "messages", ["created_at"], unique=False, schema="notifier")
    op.create_index(
        "messages_due",
        "messages",
        ["channel", "due_at"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("status IN ('pending', 'retry')"),
    )
    op.create_index(
        "messages_due_by_step",
        "messages",
        ["storefront", "follow_up", "step", "due_at"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("status IN ('pending', 'retry') AND channel = 'webhook'"),
    )
    op.create_index(
        "messages_leased",
        "messages",
        ["lease_until"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("status IN ('claimed', 'sending')"),
    )
    op.create_index(
        "messages_once_per_cause",
        "messages",
        ["follow_up", "cause", "step"],
        unique=True,
        schema="notifier",
        postgresql_where=sa.text("status <> 'cancelled'"),
    )
    op.create_index(
        "messages_once_per_occasion",
        "messages",
        ["follow_up", "occasion", "step"],
        unique=True,
        schema="notifier",
        postgresql_where=sa.text("status <> 'cancelled'"),
    )
    op.create_index(
        "messages_suppressed",
        "messages",
        ["storefront"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("status = 'withheld' AND reason = 'suppressed'"),
    )
    op.create_table(
        "offsets",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("offsets_pkey")),
        schema="notifier",
    )
    op.create_table(
        "spent_claims",
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("address_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("storefront", "address_sha256", name=op.f("spent_claims_pkey")),
        schema="notifier",
    )
    op.create_index("spent_claims_once_per_customer", "spent_claims", ["customer_id"], unique=True, schema="notifier")
    op.create_index("spent_claims_recent", "spent_claims", ["storefront", "spent_at"], unique=False, schema="notifier")
    op.create_table(
        "stream",
        sa.Column("row", sa.SmallInteger(), autoincrement=False, server_default="1", nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("row = 1", name=op.f("stream_one_row")),
        sa.PrimaryKeyConstraint("row", name=op.f("stream_pkey")),
        schema="notifier",
    )
    op.create_table(
        "kept_from",
        sa.Column("row", sa.SmallInteger(), autoincrement=False, server_default="1", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("row = 1", name=op.f("kept_from_one_row")),
        sa.PrimaryKeyConstraint("row", name=op.f("kept_from_pkey")),
        schema="notifier",
    )
    op.create_table(
        "spent_occasions",
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("occasion", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("follow_up", "step", "occasion", name=op.f("spent_occasions_pkey")),
        schema="notifier",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pkey")),
        schema="notifier",
    )
    op.create_index("outbox_once", "outbox", ["storefront", "event_id"], unique=True, schema="notifier")
    op.create_index(
        "outbox_published",
        "outbox",
        ["published_at"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("published_at IS NOT NULL"),
    )
    op.create_index(
        "outbox_waiting",
        "outbox",
        ["id"],
        unique=False,
        schema="notifier",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "choices",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("yes", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "name", name=op.f("choices_pkey")),
        schema="notifier",
    )
    op.create_index("choices_by_time", "choices", ["at"], unique=False, schema="notifier")
    op.create_table(
        "answers",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "kind", name=op.f("answers_pkey")),
        schema="notifier",
    )
    op.create_table(
        "suppressions",
        sa.Column("storefront", sa.Text(), nullable=False),
        sa.Column("address_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_why", sa.Text(), nullable=True),
        sa.CheckConstraint("scope IN ('all', 'marketing')", name=op.f("suppressions_scope_known")),
        sa.PrimaryKeyConstraint("storefront", "address_sha256", "scope", name=op.f("suppressions_pkey")),
        schema="notifier",
    )
    op.create_index("suppressions_by_address", "suppressions", ["address_sha256"], unique=False, schema="notifier")
    op.create_table(
        "switches",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("scope IN ('all', 'storefront', 'channel', 'follow_up')", name=op.f("switches_scope_known")),
        sa.PrimaryKeyConstraint("scope", "name", name=op.f("switches_pkey")),
        schema="notifier",
    )
    op.create_table(
        "allowances",
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("follow_up", name=op.f("allowances_pkey")),
        schema="notifier",
    )
    op.create_table(
        "volumes",
        sa.Column("follow_up", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live", sa.Integer(), nullable=False),
        sa.Column("shadow", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("follow_up", "hour", name=op.f("volumes_pkey")),
        schema="notifier",
    )
    _make_partitions_and_views()


def _make_partitions_and_views() -> None:
    for number in range(EVENT_PARTITIONS):
        op.execute(
            f"CREATE TABLE engine.events_{number} PARTITION OF engine.events "
            f"FOR VALUES WITH (MODULUS {EVENT_PARTITIONS}, REMAINDER {number})"
        )
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW reporting.{name} AS {query}")


def _make_schemas_and_shop() -> None:
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    op.create_table(
        "revisions",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column(
            "follows",
            sa.BigInteger(),
            nullable=True,
            comment="what was in force when it was made: where a rollback leads",
        ),
        sa.Column(
            "files",
            postgresql.JSONB(),
            nullable=False,
            comment="path: text, or {base64: …}; services.revisions.files",
        ),
        sa.Column("digest", sa.Text(), nullable=False, comment="of the files"),
        sa.Column(
            "fold_version",
            sa.Integer(),
            nullable=False,
            comment="stage_engine.fold.FOLD_VERSION of who made it",
        ),
        sa.Column(
            "folding",
            postgresql.JSONB(),
            nullable=False,
            comment="storefront: digest of all that a fold of its customers reads",
        ),
        sa.Column(
            "folded_as",
            postgresql.JSONB(),
            nullable=False,
            comment="storefront: the first revision with this digest",
        ),
        sa.PrimaryKeyConstraint("number"),
        schema="shop",
    )
    op.create_table(
        "active",
        sa.Column("row", sa.SmallInteger(), autoincrement=False, server_default="1", nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="when it was activated"),
        sa.CheckConstraint("row = 1", name="one_active"),
        sa.ForeignKeyConstraint(["number"], ["shop.revisions.number"]),
        sa.PrimaryKeyConstraint("row"),
        schema="shop",
    )


def downgrade() -> None:
    for schema in reversed(SCHEMAS):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
