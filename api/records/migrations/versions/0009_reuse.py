"""Uploads of a file that the form has already, and where in the bucket their bytes are.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SPARES = sa.text("from_prefix IS NOT NULL AND bytes = 'kept'")


def upgrade() -> None:
    op.add_column("uploads", sa.Column("from_id", sa.String(40)))
    op.add_column("uploads", sa.Column("from_prefix", sa.String(700)))
    op.add_column("uploads", sa.Column("from_name", sa.String(100)))
    op.create_index(
        "ix_uploads_spared",
        "uploads",
        ["from_prefix"],
        sqlite_where=SPARES,
        postgresql_where=SPARES,
    )


def downgrade() -> None:
    op.drop_index("ix_uploads_spared", table_name="uploads")
    for name in ("from_name", "from_prefix", "from_id"):
        op.drop_column("uploads", name)
