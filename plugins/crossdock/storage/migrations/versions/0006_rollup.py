"""What ledger entries add up to, by day and by month, and the indexes by which the newest of something is found."""

from __future__ import annotations

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_REPLACED = {"extract": "pulled_at", "verdict": "validated_at", "snapshot": "seq"}
_ADDED = [(table, ["dataset", newest]) for table, newest in _REPLACED.items()] + [
    ("delivery", ["department", "intended_at"]),
    ("delivery", ["consumer", "intended_at"]),
    ("delivery", ["status", "intended_at"]),
    ("delivery", ["intended_at"]),
    ("refusal", ["refused_at"]),
    ("quarantine", ["status"]),
]


def upgrade() -> None:
    for table in _REPLACED:
        op.drop_index(op.f(f"ix_{table}_dataset"), table_name=table)
    op.drop_index(op.f("ix_delivery_consumer"), table_name="delivery")
    for table, columns in _ADDED:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns, unique=False)
    day = op.create_table(
        "share_day",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("party", sa.String(length=255), nullable=False),
        sa.Column("shares", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "role", "party", name=op.f("pk_share_day")),
    )
    month = op.create_table(
        "share_month",
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("consumer", sa.String(length=255), nullable=False),
        sa.Column("theme", sa.String(length=255), nullable=False),
        sa.Column("department", sa.String(length=255), nullable=False),
        sa.Column("shares", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month", "dataset", "consumer", "theme", name=op.f("pk_share_month")),
    )
    _fill(day, month)


def _fill(day: sa.Table, month: sa.Table) -> None:
    """Adds up the entries that are there; one that can't be read is left out, and the audit tells of it."""
    days: Counter[tuple[str, ...]] = Counter()
    months: Counter[tuple[str, ...]] = Counter()
    made: Counter[tuple[str, ...]] = Counter()
    for (text,) in op.get_bind().execute(sa.text("SELECT body FROM ledger_entry")):
        try:
            body = json.loads(text)
            shares = body["counts"]["inserted"] + body["counts"]["updated"]
            on, provider, consumer = body["delivered_at"][:10], body["department"], body["consumer"]
            of_days = [(on, "provider", provider), (on, "consumer", consumer)]
            of_month = (on[:7], body["dataset"], consumer, body["theme"], provider)
        except (ValueError, LookupError, TypeError):
            continue
        for key in of_days:
            days[key] += shares
            made[key] += 1
        months[of_month] += shares
        made[of_month] += 1
    for table, sums in ((day, days), (month, months)):
        names = [column.name for column in table.columns]
        op.bulk_insert(table, [dict(zip(names, (*key, total, made[key]), strict=True)) for key, total in sums.items()])


def downgrade() -> None:
    op.drop_table("share_month")
    op.drop_table("share_day")
    for table, columns in reversed(_ADDED):
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table_name=table)
    op.create_index(op.f("ix_delivery_consumer"), "delivery", ["consumer"], unique=False)
    for table in _REPLACED:
        op.create_index(op.f(f"ix_{table}_dataset"), table, ["dataset"], unique=False)
