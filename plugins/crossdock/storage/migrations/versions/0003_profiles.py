"""What each extract looked like, so that later ones can be compared with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("verdict", sa.Column("profile", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("verdict", "profile")
