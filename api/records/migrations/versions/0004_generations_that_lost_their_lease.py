"""Generations whose lost lease was counted, so that the attempt can be given back.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # With a default of the database's: older code that still runs inserts rows without it.
    lost = sa.Column("lost_generations", sa.JSON(), nullable=False, server_default="[]")
    op.add_column("uploads", lost)


def downgrade() -> None:
    op.drop_column("uploads", "lost_generations")
