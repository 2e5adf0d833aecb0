"""Deliveries that nobody can look for any more: who gave them up, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "given_up",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("maybe_at", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_up_by", sa.String(length=255), nullable=False),
        sa.Column("given_up_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["delivery.id"], name=op.f("fk_given_up_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_given_up")),
    )


def downgrade() -> None:
    op.drop_table("given_up")
