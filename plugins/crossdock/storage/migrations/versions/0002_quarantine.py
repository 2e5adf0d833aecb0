"""What became of the rows that verdicts set aside, and who released rows and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("extract", sa.Column("replays", sa.JSON(), nullable=True))
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("opened_at", sa.String(length=32), nullable=False),
        sa.Column("closed_at", sa.String(length=32), nullable=True),
        sa.Column("closed_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["verdict.id"], name=op.f("fk_quarantine_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index(op.f("ix_quarantine_dataset"), "quarantine", ["dataset"], unique=False)
    # Of what was set aside before this table was there, the newest verdict of each dataset still stands.
    op.execute(
        """INSERT INTO quarantine (id, dataset, rows, status, opened_at)
           SELECT v.id, v.dataset, v.quarantined, 'open', v.validated_at FROM verdict v
           WHERE v.quarantined > 0 AND NOT EXISTS (
               SELECT 1 FROM verdict later WHERE later.dataset = v.dataset AND later.validated_at > v.validated_at)"""
    )
    op.create_table(
        "waiver",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_by", sa.String(length=255), nullable=False),
        sa.Column("released_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["verdict"], ["verdict.id"], name=op.f("fk_waiver_verdict")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiver")),
    )
    op.create_index(op.f("ix_waiver_dataset"), "waiver", ["dataset"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_waiver_dataset"), table_name="waiver")
    op.drop_table("waiver")
    op.drop_index(op.f("ix_quarantine_dataset"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_column("extract", "replays")
