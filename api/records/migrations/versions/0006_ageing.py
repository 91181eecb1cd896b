"""What ages: when a draft was last edited, bytes on the volume by age, drafts begun by a client.

Drafts that are there already are dated by the sweep, from the first one after this: nobody's draft
ends with the update.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

DRAFTS = sa.text("status = 'draft'")
KEPT = sa.text("bytes = 'kept'")


def upgrade() -> None:
    op.add_column("forms", sa.Column("edited_at", sa.BigInteger()))
    op.create_index(
        "ix_forms_drafts", "forms", ["edited_at"], sqlite_where=DRAFTS, postgresql_where=DRAFTS
    )
    op.create_index(
        "ix_uploads_kept",
        "uploads",
        ["status", "updated_at", "created_at", "size"],
        sqlite_where=KEPT,
        postgresql_where=KEPT,
    )
    op.create_table(
        "begun_drafts",
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("drafts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("client", "step", name="pk_begun_drafts"),
    )
    op.create_index("ix_begun_drafts_step", "begun_drafts", ["step"])


def downgrade() -> None:
    op.drop_table("begun_drafts")
    op.drop_index("ix_uploads_kept", table_name="uploads")
    op.drop_index("ix_forms_drafts", table_name="forms")
    op.drop_column("forms", "edited_at")
