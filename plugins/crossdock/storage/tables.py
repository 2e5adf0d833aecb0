"""The state database's tables (SQLAlchemy Core); migrations in storage/migrations create them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# Instants are ISO 8601 UTC text (identity.instant): one spelling in SQLite, PostgreSQL, manifests and ledger hashes.
_Instant = sa.String(32)
_Id = sa.String(64)
_Name = sa.String(255)

extract = sa.Table(
    "extract",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("dataset", _Name, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),  # str(RowsDigest) over the raw rows
    sa.Column("drift", sa.JSON, nullable=False),  # {"missing": [...], "extra": [...]} column names
    sa.Column("watermark", sa.Text),  # newest watermark value held, as text; null for full pulls
    sa.Column("incremental", sa.Boolean, nullable=False),
    sa.Column("pulled_at", _Instant, nullable=False),
    sa.Column("replays", sa.JSON),  # ids of the verdicts whose quarantined rows it holds; null for what was pulled
    sa.Index(None, "dataset", "pulled_at"),  # the newest of a dataset
)

verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("extract", _Id, sa.ForeignKey("extract.id"), nullable=False, index=True),
    sa.Column("dataset", _Name, nullable=False),
    sa.Column("contract_version", sa.String(64), nullable=False),
    sa.Column("contract_digest", _Id, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),  # accepted | partial | rejected
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("quarantined", sa.BigInteger, nullable=False),
    sa.Column("accepted_digest", sa.String(64), nullable=False),
    sa.Column("quarantined_digest", sa.String(64), nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("quarantine_key", sa.Text),  # null when no row failed
    sa.Column("result_key", sa.Text, nullable=False),  # GX ValidationResult JSON
    sa.Column("validated_at", _Instant, nullable=False),
    sa.Column("profile", sa.JSON),  # what later extracts are compared with (validation.profile)
    sa.Index(None, "dataset", "validated_at"),  # the newest of a dataset
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", _Id, sa.ForeignKey("verdict.id"), primary_key=True),  # the verdict that set the rows aside
    sa.Column("dataset", _Name, nullable=False, index=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),  # open | replayed | superseded
    sa.Column("opened_at", _Instant, nullable=False),
    sa.Column("closed_at", _Instant),
    sa.Column("closed_by", _Id),  # the verdict that took its place
    sa.Index(None, "status"),
)

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", _Id, sa.ForeignKey("verdict.id"), primary_key=True),  # the verdict that was told of
    sa.Column("dataset", _Name, nullable=False, index=True),
    sa.Column("connection", _Name, nullable=False),
    sa.Column("sent_at", _Instant, nullable=False),
)

waiver = sa.Table(
    "waiver",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("dataset", _Name, nullable=False, index=True),
    sa.Column("verdict", _Id, sa.ForeignKey("verdict.id"), nullable=False),
    sa.Column("rules", sa.JSON, nullable=False),  # ids of the rules that the rows need not keep
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),  # parquet of the rows' hashes
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("released_by", _Name, nullable=False),
    sa.Column("released_at", _Instant, nullable=False),
)

snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),  # order of acceptance
    sa.Column("id", _Id, nullable=False),
    sa.Column("dataset", _Name, nullable=False),
    # Not unique: a source that goes back to what it held before brings an old verdict into force again.
    sa.Column("verdict", _Id, sa.ForeignKey("verdict.id"), nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),  # str(RowsDigest) over the typed rows
    sa.Column("accepted_at", _Instant, nullable=False),
    sa.Index(None, "dataset", "seq"),  # the newest of a dataset
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("agreement", _Name, nullable=False, index=True),
    sa.Column("agreement_version", sa.String(64), nullable=False),
    sa.Column("agreement_digest", _Id, nullable=False),
    sa.Column("dataset", _Name, nullable=False, index=True),
    sa.Column("department", _Name, nullable=False),
    sa.Column("consumer", _Name, nullable=False),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("snapshot", _Id, nullable=False),
    sa.Column("snapshot_seq", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),  # intended | delivered | superseded
    sa.Column("intended_at", _Instant, nullable=False),
    # Below: set in the one transaction that also appends the ledger entry.
    sa.Column("delivered_at", _Instant),
    sa.Column("counts", sa.JSON),  # {"inserted","updated","deleted","unchanged","filtered"}
    sa.Column("digests", sa.JSON),  # {"accepted","delivered","unchanged","filtered"}: str(RowsDigest), blinded
    sa.Column("manifest_key", sa.Text),
    sa.Column("manifest_sha256", sa.String(64)),
    sa.Column("received_key", sa.Text),  # parquet of (key, row) hashes: what the consumer holds now
    sa.Column("receipt", sa.JSON),
    *(sa.Index(None, name, "intended_at") for name in ("department", "consumer", "status")),
    sa.Index(None, "intended_at"),
)

recall = sa.Table(
    "recall",
    metadata,
    sa.Column("id", _Id, sa.ForeignKey("delivery.id"), primary_key=True),  # the delivery that takes back
    sa.Column("recalled", _Id, sa.ForeignKey("delivery.id"), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("recalled_by", _Name, nullable=False),
    sa.Column("recalled_at", _Instant, nullable=False),
)

given_up = sa.Table(
    "given_up",
    metadata,
    sa.Column("id", _Id, sa.ForeignKey("delivery.id"), primary_key=True),
    sa.Column("maybe_at", sa.Text, nullable=False),  # the address at which it may have arrived
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("given_up_by", _Name, nullable=False),
    sa.Column("given_up_at", _Instant, nullable=False),
)

review = sa.Table(
    "review",
    metadata,
    sa.Column("id", _Id, primary_key=True),  # the digest of the agreement that was reviewed
    sa.Column("agreement", _Name, nullable=False, index=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("approved", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("reviewed_by", _Name, nullable=False),
    sa.Column("reviewed_at", _Instant, nullable=False),
)

rejection = sa.Table(
    "rejection",
    metadata,
    sa.Column("id", _Id, primary_key=True),  # content id of agreement and record
    sa.Column("agreement", _Name, nullable=False, index=True),
    sa.Column("record", sa.String(32), nullable=False),  # its keyed hash, as hex
    sa.Column("snapshot", _Id, nullable=False),
    sa.Column("agreement_digest", sa.String(64), nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("first_at", _Instant, nullable=False),
    sa.Column("last_at", _Instant, nullable=False),
    sa.Column("retry_at", _Instant),  # when somebody asked to try it again
    sa.Column("resolved_at", _Instant),  # when a delivery went out without an objection to it
)

refusal = sa.Table(
    "refusal",
    metadata,
    sa.Column("id", _Id, primary_key=True),  # content id of agreement digest, snapshot and reason: recorded once
    sa.Column("agreement", _Name, nullable=False, index=True),
    sa.Column("dataset", _Name, nullable=False),
    sa.Column("consumer", _Name, nullable=False),
    sa.Column("snapshot", _Id),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("refused_at", _Instant, nullable=False),
    sa.Index(None, "refused_at"),
)

ledger_entry = sa.Table(
    "ledger_entry",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without gaps
    sa.Column("delivery", _Id, sa.ForeignKey("delivery.id"), nullable=False, unique=True),
    sa.Column("day", sa.String(10), nullable=False, index=True),  # UTC date of delivery
    sa.Column("body", sa.Text, nullable=False),  # the entry's canonical JSON, exactly the bytes that were hashed
    sa.Column("previous_root", sa.String(64), nullable=False),
    sa.Column("root", sa.String(64), nullable=False, unique=True),
)


def _counted(period: sa.Column[str]) -> tuple[sa.Column[Any], ...]:
    """Returns the columns of a table that holds sums by a period and by everything that shares are counted by."""
    names = ("department", "dataset", "theme", "sharing", "consumer", "channel", "agreement")
    return (
        sa.Column("id", _Id, primary_key=True),  # content id of all that it counts by
        period,
        *(sa.Column(name, _Name, nullable=False) for name in names),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("shares", sa.BigInteger, nullable=False),
        sa.Column("deliveries", sa.BigInteger, nullable=False),
    )


# What entries add up to, kept beside them: a year of 19 million shares is read in milliseconds, by whom and what.
share_day = sa.Table(
    "share_day",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("role", sa.String(16), primary_key=True),  # provider | consumer: each entry counts once in either role
    sa.Column("party", _Name, primary_key=True),  # a department, or "public"
    sa.Column("shares", sa.BigInteger, nullable=False),
    sa.Column("deliveries", sa.BigInteger, nullable=False),
)

share_month = sa.Table(
    "share_month",
    metadata,
    *_counted(sa.Column("month", sa.String(7), nullable=False)),
    sa.Index(None, "month", "dataset"),
    # The dashboard's sums over a long period, in their order: nothing is sorted, and no row is read.
    sa.Index("ix_share_month_sums", "dataset", "consumer", "department", "month", "shares", "deliveries"),
)

# The same by day: what `crossdock counts` answers from where days matter.
share_count = sa.Table(
    "share_count",
    metadata,
    *_counted(sa.Column("day", sa.String(10), nullable=False, index=True)),
    # What is asked for most, in the order in which it is told: hardly anything is left to be sorted.
    sa.Index("ix_share_count_sums", "department", "dataset", "consumer", "day", "shares", "deliveries"),
)

# Who looked up what about whom had been shared; the people are keyed hashes.
lookup = sa.Table(
    "lookup",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("subject", sa.String(32), nullable=False, index=True),
    sa.Column("asked_by", _Name, nullable=False),
    sa.Column("asked_at", _Instant, nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("withheld", sa.Boolean, nullable=False),  # asked for what the person is not told as well
    sa.Column("found", sa.Integer, nullable=False),
)

# How the public used open datasets: each download and visit once, by whom as a keyed hash.
open_use = sa.Table(
    "open_use",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),  # of who did what when
    sa.Column("day", sa.String(10), nullable=False, index=True),
    sa.Column("department", _Name, nullable=False),
    sa.Column("dataset", _Name, nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),  # download | visit
    sa.Column("user", sa.String(32), nullable=False),
)
