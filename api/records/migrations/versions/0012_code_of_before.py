"""Which code of before works on this schema: what that code can't know by itself.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "compatibility",
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_compatibility"),
    )


def downgrade() -> None:
    op.drop_table("compatibility")
