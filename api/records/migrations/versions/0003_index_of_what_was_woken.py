"""Index of the uploads that the sweep woke, so that it can ask the queue for them.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAME = "ix_uploads_woken"
ONLY = sa.text("status = 'staged' AND wakes_unanswered > 0")


def upgrade() -> None:
    op.create_index(NAME, "uploads", ["wake_at"], sqlite_where=ONLY, postgresql_where=ONLY)


def downgrade() -> None:
    op.drop_index(NAME, table_name="uploads")
