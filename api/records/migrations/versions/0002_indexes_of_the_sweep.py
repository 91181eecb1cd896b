"""Indexes of what the sweep and the metrics look for.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = (
    ("ix_cleanings_done", "cleanings", ["id"], "passes >= 2"),
    ("ix_forms_purging", "forms", ["id"], "status = 'purging'"),
    ("ix_staged_names_condemned", "staged_names", ["at"], "condemned"),
    (
        "ix_uploads_backlog",
        "uploads",
        ["status", "created_at"],
        "status IN ('receiving', 'staged', 'processing', 'failed')",
    ),
)


def upgrade() -> None:
    for name, table, columns, where in INDEXES:
        only = sa.text(where)
        op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    for name, table, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
