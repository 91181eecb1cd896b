"""What a back end gives with a form: where posts from its own pages lead, and metadata.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("forms", sa.Column("success_redirect", sa.String(2000)))
    op.add_column("forms", sa.Column("error_redirect", sa.String(2000)))
    op.add_column("forms", sa.Column("metadata", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    for name in ("metadata", "error_redirect", "success_redirect"):
        op.drop_column("forms", name)
