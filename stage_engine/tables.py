"""Schema `engine`: the one definition of its tables. Alembic is checked against it, and statements are built from it.

Events never move: each belongs to an identity for ever, and who is whom is in the pointers alone. Times are event time
unless the column says otherwise. Keys of large tables are 16 bytes: text ids as index keys cost twice the work.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from services.offsets import offsets_table

SCHEMA = "engine"

metadata = sa.MetaData(schema=SCHEMA)
Uuid = UUID(as_uuid=True)
Time = sa.DateTime(timezone=True)
Bytewise = sa.Text(collation="C")

storefronts = sa.Table(
    "storefronts",
    metadata,
    sa.Column("storefront", sa.Text, primary_key=True),
    sa.Column("namespace", Uuid, nullable=False, comment="secret: customers' ids are made with it"),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("id", Uuid, primary_key=True, comment="identity_id(storefront, kind, value)"),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False, comment="services.contracts.identity.IdentityKind"),
    sa.Column("value", Bytewise, nullable=False),
    sa.Column("wants", Uuid, comment="what its links decide: a stronger identity, or by alias another account"),
    sa.Column("wants_since", Time, comment="the time of the link that decides"),
    sa.Column("points_to", Uuid, comment="what it wants, if it is one of the earliest that do; null at a root"),
    sa.Column("customer_id", Uuid, nullable=False, comment="where the pointers end"),
    sa.Index("identities_by_customer", "customer_id"),
    sa.Index(
        "identities_by_target", "points_to", "wants_since", "kind", postgresql_where=sa.text("points_to IS NOT NULL")
    ),
    sa.Index("identities_by_wish", "wants", "wants_since", "kind", postgresql_where=sa.text("wants IS NOT NULL")),
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("weak", Uuid, primary_key=True),
    sa.Column("strong", Uuid, primary_key=True),
    sa.Column("strong_kind", sa.SmallInteger, nullable=False, comment="of the strong end, for the order of the index"),
    sa.Column("at", Time, nullable=False, comment="the earliest time at which any copy of any event said so"),
    sa.Index("links_by_strength", "weak", "strong_kind", "at"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("identity_id", Uuid, primary_key=True),
    sa.Column("event_key", Uuid, primary_key=True, comment="a hash of event_id"),
    sa.Column("event_id", Bytewise, nullable=False),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False, comment="services.contracts.events.rank_of when it was stored"),
    sa.Column("occurred_at", Time, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="hash of all but when and whence it came"),
    sa.Column("who", JSONB, nullable=False),
    sa.Column("properties", JSONB, nullable=False),
    sa.Column("traits", JSONB, nullable=False),
    sa.Column("context", JSONB, nullable=False),
    sa.Column("imported_at", Time, comment="when the import began that brought it; null for what came live"),
    sa.Column("network", sa.Text, comment="a keyed hash of where a browser called from; null for what a server said"),
    sa.Index("events_in_order", "identity_id", "occurred_at", "rank", "event_id"),
    postgresql_partition_by="HASH (identity_id)",
)

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("root", Uuid, nullable=False, comment="the identity that the id was made of"),
    sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0", comment="of the last change; never falls"),
    sa.Column("state", sa.LargeBinary, comment="stage_engine.state.State as JSON; null before the first fold"),
    sa.Column(
        "revision",
        sa.BigInteger,
        comment="of the shop, that the state was folded by (its folded_as); null before the first fold",
    ),
    sa.Column("next_wake", Time),
    sa.Column("waits_at", Time, comment="with waits_rank and waits_id: the first event that waits"),
    sa.Column("waits_rank", sa.SmallInteger),
    sa.Column("waits_id", Bytewise),
    sa.Column("refold_at", Time, comment="with refold_rank and refold_id: the background refolder is to begin here"),
    sa.Column("refold_rank", sa.SmallInteger),
    sa.Column("refold_id", Bytewise),
    sa.Column("arrived_at", Time, comment="likewise: the first of what came since the refolder began"),
    sa.Column("arrived_rank", sa.SmallInteger),
    sa.Column("arrived_id", Bytewise),
    sa.Column(
        "joined", JSONB, comment="a join or split that the next fold is to publish: its number, the other customers"
    ),
    sa.Column("hold", sa.Text, comment="why nothing may be sent: null when it may"),
    sa.Column("broken", sa.Text, comment="what the fold stumbled over; mended by a re-fold"),
    sa.Column("broken_by", sa.BigInteger, comment="the revision whose fold stumbled"),
    sa.Column("first_seen_at", Time, nullable=False, server_default=sa.func.now(), comment="when the row was made"),
    sa.Index("customers_to_wake", "next_wake", postgresql_where=sa.text("next_wake IS NOT NULL")),
    sa.Index("customers_by_revision", "storefront", "revision"),
    sa.Index("customers_broken", "broken_by", postgresql_where=sa.text("broken_by IS NOT NULL")),
    sa.Index("customers_by_root", "root"),
    sa.Index("customers_to_refold", "refold_at", postgresql_where=sa.text("refold_at IS NOT NULL")),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("customer_id", Uuid, primary_key=True),
    sa.Column("key", Bytewise, primary_key=True),
    sa.Column("changed_at", Time, primary_key=True, comment="with changed_rank and changed_id: which event made it so"),
    sa.Column("changed_rank", sa.SmallInteger, primary_key=True),
    sa.Column("changed_id", Bytewise, primary_key=True),
    sa.Column("completed_at", Time),
    sa.Column("currency", sa.Text),
    sa.Column("revenue", sa.Numeric, nullable=False),
    sa.Column("total", sa.Numeric, nullable=False),
    sa.Column("refunded", sa.Numeric, nullable=False),
    sa.Column("refunded_whole", sa.Boolean, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("customer_id", Uuid, primary_key=True),
    sa.Column("events", sa.Integer, primary_key=True, comment="how many were folded"),
    sa.Column("at", Time, nullable=False, comment="with rank and event_id: the position of the last of them"),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("event_id", Bytewise, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)

baselines = sa.Table(
    "baselines",
    metadata,
    sa.Column("id", Uuid, primary_key=True, comment="the identity that it belongs to, as events do"),
    sa.Column("at", Time, nullable=False, comment="with rank and event_id: the last event that it stands for"),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("event_id", Bytewise, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="stage_engine.state.State as JSON"),
    sa.Column(
        "taken_apart", sa.Boolean, nullable=False, server_default=sa.false(), comment="it is approximate for ever"
    ),
)

baseline_identities = sa.Table(
    "baseline_identities",
    metadata,
    sa.Column("identity_id", Uuid, primary_key=True, comment="whose events are not kept"),
    sa.Column("baseline", Uuid, nullable=False, comment="what stands for them"),
    sa.Column("at", Time, nullable=False, comment="with rank and event_id: up to here they are not kept"),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("event_id", Bytewise, nullable=False),
    sa.Index("baseline_identities_by_baseline", "baseline"),
)

baseline_orders = sa.Table(
    "baseline_orders",
    metadata,
    sa.Column("baseline", Uuid, primary_key=True),
    sa.Column("key", Bytewise, primary_key=True),
    sa.Column("changed_at", Time, nullable=False, comment="with changed_rank and changed_id: which event made it so"),
    sa.Column("changed_rank", sa.SmallInteger, nullable=False),
    sa.Column("changed_id", Bytewise, nullable=False),
    sa.Column("completed_at", Time),
    sa.Column("currency", sa.Text),
    sa.Column("revenue", sa.Numeric, nullable=False),
    sa.Column("total", sa.Numeric, nullable=False),
    sa.Column("refunded", sa.Numeric, nullable=False),
    sa.Column("refunded_whole", sa.Boolean, nullable=False),
    sa.Column("cancelled", sa.Boolean, nullable=False),
)

baseline_moves = sa.Table(
    "baseline_moves",
    metadata,
    sa.Column("baseline", Uuid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", JSONB, nullable=False, comment="services.contracts.changes.Transition"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("customer_id", Uuid, primary_key=True),
    sa.Column("instance", Uuid, primary_key=True),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False, comment="as shown: `key` or `key#2`"),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("since", Time, nullable=False),
    sa.Index("instances_by_stage", "storefront", "track", "stage"),
)

transitions = sa.Table(
    "transitions",
    metadata,
    sa.Column("customer_id", Uuid, primary_key=True),
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="order within the customer's surviving transitions"),
    sa.Column("retracted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("body", JSONB, nullable=False, comment="services.contracts.changes.Transition"),
    sa.Index("transitions_by_time", "at"),
    sa.Index("transitions_by_number", "customer_id", "number"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("slice", sa.SmallInteger, nullable=False, comment="of customers: one publisher at a time for each"),
    sa.Column("customer_id", Uuid, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("storefront", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False, comment="the record's bytes: a repeat is the same"),
    sa.Column("made_at", Time, nullable=False, comment="wall clock: the record's ce_time"),
    sa.Column("epoch", sa.Integer, nullable=False, comment="of the stream: raised when the database was restored"),
    sa.Column("published", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("position", sa.BigInteger, comment="the order within its slice in which it was first published"),
    sa.Index("outbox_unpublished", "slice", "id", postgresql_where=sa.text("NOT published")),
    sa.Index("outbox_by_position", "slice", "position", postgresql_where=sa.text("position IS NOT NULL")),
    sa.UniqueConstraint("customer_id", "sequence", name="outbox_sequence"),
)

slices = sa.Table(
    "slices",
    metadata,
    sa.Column("slice", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, nullable=False, comment="the last that was given to a published change"),
    sa.Column("forgotten", sa.BigInteger, nullable=False, comment="the greatest of the changes that are deleted"),
)

stream = sa.Table(
    "stream",
    metadata,
    sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("epoch", sa.Integer, nullable=False, comment="without a row it is the first"),
    sa.Column("restored_at", Time, nullable=False),
    sa.CheckConstraint("row = 1", name="one_stream"),
)

table_numbers = sa.Sequence("table_numbers", schema=SCHEMA, metadata=metadata)
"""Orders joins and splits over the whole engine."""

watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("at", Time, nullable=False, comment="up to here everything that was received has been folded"),
    sa.CheckConstraint("row = 1", name="one_row"),
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("record_offset", sa.BigInteger, primary_key=True),
    sa.Column("storefront", sa.Text),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("replayed_at", Time, comment="when an operator put it on the topic again"),
)

offsets = offsets_table(metadata, SCHEMA)
