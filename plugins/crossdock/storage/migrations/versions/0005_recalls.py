"""Deliveries that take back others, with their reasons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recall",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("recalled", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("recalled_by", sa.String(length=255), nullable=False),
        sa.Column("recalled_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["delivery.id"], name=op.f("fk_recall_id")),
        sa.ForeignKeyConstraint(["recalled"], ["delivery.id"], name=op.f("fk_recall_recalled")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
    )
    op.create_index(op.f("ix_recall_recalled"), "recall", ["recalled"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_recall_recalled"), table_name="recall")
    op.drop_table("recall")
