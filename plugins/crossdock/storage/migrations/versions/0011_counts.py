"""What ledger entries add up to by everything that shares are counted by, per day and per month."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_WAYS = ("department", "dataset", "theme", "sharing", "consumer", "channel", "agreement", "purpose")


def upgrade() -> None:
    op.drop_table("share_month")
    tables = {7: _make("share_month", "month", 7), 10: _make("share_count", "day", 10)}
    op.create_index(op.f("ix_share_month_month_dataset"), "share_month", ["month", "dataset"], unique=False)
    op.create_index(op.f("ix_share_count_day"), "share_count", ["day"], unique=False)
    shares: Counter[tuple[str, ...]] = Counter()
    made: Counter[tuple[str, ...]] = Counter()
    for (text,) in op.get_bind().execute(sa.text("SELECT body FROM ledger_entry")):
        try:  # one that can't be read is left out, and the audit tells of it
            body = json.loads(text)
            shared = body["counts"]["inserted"] + body["counts"]["updated"]
            keys = [(body["delivered_at"][:length], *(body[way] for way in _WAYS)) for length in tables]
        except (ValueError, LookupError, TypeError):
            continue
        for key in keys:
            shares[key] += shared
            made[key] += 1
    for length, table in tables.items():
        names = [column.name for column in table.columns]
        rows = [(_id(key), *key, total, made[key]) for key, total in shares.items() if len(key[0]) == length]
        op.bulk_insert(table, [dict(zip(names, row, strict=True)) for row in rows])


def _id(key: tuple[str, ...]) -> str:
    spelled = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(spelled.encode()).hexdigest()[:32]


def _make(name: str, period: str, length: int) -> sa.Table:
    return op.create_table(
        name,
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column(period, sa.String(length=length), nullable=False),
        *(sa.Column(way, sa.String(length=255), nullable=False) for way in _WAYS[:-1]),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("shares", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )


def downgrade() -> None:
    names = ("month", "dataset", "consumer", "theme", "department", "shares", "deliveries")
    query = sa.text(
        "SELECT month, dataset, consumer, theme, max(department), sum(shares), sum(deliveries) FROM share_month "
        "GROUP BY month, dataset, consumer, theme"
    )
    rows = [dict(zip(names, row, strict=True)) for row in op.get_bind().execute(query)]
    for table in ("share_count", "share_month"):
        op.drop_table(table)
    month = op.create_table(
        "share_month",
        sa.Column("month", sa.String(length=7), nullable=False),
        *(sa.Column(name, sa.String(length=255), nullable=False) for name in names[1:5]),
        sa.Column("shares", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month", "dataset", "consumer", "theme", name=op.f("pk_share_month")),
    )
    op.bulk_insert(month, rows)
