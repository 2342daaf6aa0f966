"""Schema `shop`: every revision of the shop's directory that was ever applied, and which of them is in force."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA: Final = "shop"

metadata = sa.MetaData(schema=SCHEMA)

revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("follows", sa.BigInteger, comment="what was in force when it was made: where a rollback leads"),
    sa.Column("files", JSONB, nullable=False, comment="path: text, or {base64: …}; services.revisions.files"),
    sa.Column("digest", sa.Text, nullable=False, comment="of the files"),
    sa.Column("fold_version", sa.Integer, nullable=False, comment="stage_engine.fold.FOLD_VERSION of who made it"),
    sa.Column("folding", JSONB, nullable=False, comment="storefront: digest of all that a fold of its customers reads"),
    sa.Column("folded_as", JSONB, nullable=False, comment="storefront: the first revision with this digest"),
)

active = sa.Table(
    "active",
    metadata,
    sa.Column("row", sa.SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
    sa.Column("number", sa.BigInteger, sa.ForeignKey(revisions.c.number), nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="when it was activated"),
    sa.CheckConstraint("row = 1", name="one_active"),
)
