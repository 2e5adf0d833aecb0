"""Which verdicts' findings departments were told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("connection", sa.String(length=255), nullable=False),
        sa.Column("sent_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["verdict.id"], name=op.f("fk_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index(op.f("ix_notice_dataset"), "notice", ["dataset"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_notice_dataset"), table_name="notice")
    op.drop_table("notice")
