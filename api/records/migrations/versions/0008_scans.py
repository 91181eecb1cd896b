"""What the virus scanner said of an upload.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("scan", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    op.drop_column("uploads", "scan")
