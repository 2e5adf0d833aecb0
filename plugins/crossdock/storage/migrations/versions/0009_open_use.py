"""Downloads of and visits to open datasets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "open_use",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("department", sa.String(length=255), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("user", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_open_use")),
    )
    op.create_index(op.f("ix_open_use_day"), "open_use", ["day"], unique=False)
    op.create_index(op.f("ix_open_use_dataset"), "open_use", ["dataset"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_open_use_dataset"), table_name="open_use")
    op.drop_index(op.f("ix_open_use_day"), table_name="open_use")
    op.drop_table("open_use")
