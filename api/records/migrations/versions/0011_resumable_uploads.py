"""Resumable uploads: how far each is, and the segments that it is received in.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

RECEIVING = sa.text("status = 'receiving'")
COMPLETE = sa.text("status = 'receiving' AND received = size")
CONDEMNED = sa.text("condemned")


def upgrade() -> None:
    op.add_column("uploads", sa.Column("received", sa.BigInteger()))
    op.add_column("uploads", sa.Column("writer", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("uploads", sa.Column("announced_sha256", sa.String(64)))
    op.add_column("uploads", sa.Column("tus_metadata", sa.String(4096)))
    for name, where in (("receiving", RECEIVING), ("complete", COMPLETE)):
        op.create_index(
            f"ix_uploads_{name}",
            "uploads",
            ["deadline"],
            sqlite_where=where,
            postgresql_where=where,
        )
    op.create_table(
        "segments",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("upload_id", sa.String(40), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("condemned", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("name", name="pk_segments"),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name="fk_segments_upload_id_uploads", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("upload_id", "start", name="uq_segments_upload_id_start"),
    )
    op.create_index(
        "ix_segments_condemned",
        "segments",
        ["name"],
        sqlite_where=CONDEMNED,
        postgresql_where=CONDEMNED,
    )


def downgrade() -> None:
    op.drop_table("segments")
    op.drop_index("ix_uploads_complete", table_name="uploads")
    op.drop_index("ix_uploads_receiving", table_name="uploads")
    for name in ("tus_metadata", "announced_sha256", "writer", "received"):
        op.drop_column("uploads", name)
