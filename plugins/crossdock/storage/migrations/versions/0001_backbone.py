"""The tables of extracts, verdicts, snapshots, deliveries, refusals and the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agreement", sa.String(length=255), nullable=False),
        sa.Column("agreement_version", sa.String(length=64), nullable=False),
        sa.Column("agreement_digest", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("department", sa.String(length=255), nullable=False),
        sa.Column("consumer", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=False),
        sa.Column("snapshot_seq", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("intended_at", sa.String(length=32), nullable=False),
        sa.Column("delivered_at", sa.String(length=32), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("digests", sa.JSON(), nullable=True),
        sa.Column("manifest_key", sa.Text(), nullable=True),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("received_key", sa.Text(), nullable=True),
        sa.Column("receipt", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(op.f("ix_delivery_agreement"), "delivery", ["agreement"], unique=False)
    op.create_index(op.f("ix_delivery_consumer"), "delivery", ["consumer"], unique=False)
    op.create_index(op.f("ix_delivery_dataset"), "delivery", ["dataset"], unique=False)
    op.create_table(
        "extract",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("drift", sa.JSON(), nullable=False),
        sa.Column("watermark", sa.Text(), nullable=True),
        sa.Column("incremental", sa.Boolean(), nullable=False),
        sa.Column("pulled_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extract")),
    )
    op.create_index(op.f("ix_extract_dataset"), "extract", ["dataset"], unique=False)
    op.create_table(
        "refusal",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agreement", sa.String(length=255), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("consumer", sa.String(length=255), nullable=False),
        sa.Column("snapshot", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refused_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusal")),
    )
    op.create_index(op.f("ix_refusal_agreement"), "refusal", ["agreement"], unique=False)
    op.create_table(
        "ledger_entry",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delivery", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous_root", sa.String(length=64), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["delivery"], ["delivery.id"], name=op.f("fk_ledger_entry_delivery")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("delivery", name=op.f("uq_ledger_entry_delivery")),
        sa.UniqueConstraint("root", name=op.f("uq_ledger_entry_root")),
    )
    op.create_index(op.f("ix_ledger_entry_day"), "ledger_entry", ["day"], unique=False)
    op.create_table(
        "verdict",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("extract", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("contract_version", sa.String(length=64), nullable=False),
        sa.Column("contract_digest", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("accepted_digest", sa.String(length=64), nullable=False),
        sa.Column("quarantined_digest", sa.String(length=64), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("quarantine_key", sa.Text(), nullable=True),
        sa.Column("result_key", sa.Text(), nullable=False),
        sa.Column("validated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["extract"], ["extract.id"], name=op.f("fk_verdict_extract")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    op.create_index(op.f("ix_verdict_dataset"), "verdict", ["dataset"], unique=False)
    op.create_index(op.f("ix_verdict_extract"), "verdict", ["extract"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("verdict", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("accepted_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["verdict"], ["verdict.id"], name=op.f("fk_snapshot_verdict")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_snapshot")),
    )
    op.create_index(op.f("ix_snapshot_dataset"), "snapshot", ["dataset"], unique=False)
    op.create_index(op.f("ix_snapshot_verdict"), "snapshot", ["verdict"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_snapshot_verdict"), table_name="snapshot")
    op.drop_index(op.f("ix_snapshot_dataset"), table_name="snapshot")
    op.drop_table("snapshot")
    op.drop_index(op.f("ix_verdict_extract"), table_name="verdict")
    op.drop_index(op.f("ix_verdict_dataset"), table_name="verdict")
    op.drop_table("verdict")
    op.drop_index(op.f("ix_ledger_entry_day"), table_name="ledger_entry")
    op.drop_table("ledger_entry")
    op.drop_index(op.f("ix_refusal_agreement"), table_name="refusal")
    op.drop_table("refusal")
    op.drop_index(op.f("ix_extract_dataset"), table_name="extract")
    op.drop_table("extract")
    op.drop_index(op.f("ix_delivery_dataset"), table_name="delivery")
    op.drop_index(op.f("ix_delivery_consumer"), table_name="delivery")
    op.drop_index(op.f("ix_delivery_agreement"), table_name="delivery")
    op.drop_table("delivery")
