"""Files that are kept and flagged, and how often a decoding child died of an upload.

What is withheld doesn't hold its slot: the one stored upload of a slot is the one that isn't.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

STORED = sa.text("status = 'stored'")
HOLDS_SLOT = sa.text("status = 'stored' AND NOT withheld")


def upgrade() -> None:
    # With defaults of the database's: older code that still runs inserts rows without them.
    for column in (
        sa.Column("flags", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("withheld", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("released_at", sa.BigInteger()),
        sa.Column("decoder_deaths", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("uploads", column)
    _one_a_slot(HOLDS_SLOT)


def downgrade() -> None:
    _one_a_slot(STORED)  # fails while one is withheld beside another: release or remove it first
    for name in ("decoder_deaths", "released_at", "withheld", "flags"):
        op.drop_column("uploads", name)


def _one_a_slot(where: sa.TextClause) -> None:
    op.drop_index("uq_uploads_stored_slot", table_name="uploads")
    op.create_index(
        "uq_uploads_stored_slot",
        "uploads",
        ["form_id", "slot"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
