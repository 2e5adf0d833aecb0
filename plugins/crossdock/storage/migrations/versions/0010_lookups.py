"""Who looked up what about whom had been shared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lookup",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("withheld", sa.Boolean(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lookup")),
    )
    op.create_index(op.f("ix_lookup_subject"), "lookup", ["subject"], unique=False)
    op.create_index(op.f("ix_lookup_asked_at"), "lookup", ["asked_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_lookup_asked_at"), table_name="lookup")
    op.drop_index(op.f("ix_lookup_subject"), table_name="lookup")
    op.drop_table("lookup")
