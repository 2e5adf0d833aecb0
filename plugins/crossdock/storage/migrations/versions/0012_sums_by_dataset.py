"""An index that holds a long period's sums by dataset and consumer in their order: nothing is sorted, no row is read."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COLUMNS = ["dataset", "consumer", "department", "month", "shares", "deliveries"]


def upgrade() -> None:
    op.create_index("ix_share_month_sums", "share_month", _COLUMNS, unique=False)


def downgrade() -> None:
    op.drop_index("ix_share_month_sums", table_name="share_month")
