"""What call records say of hold, after-call work, outcome and transfer; callers by their key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what is not known of any call yet."""
    op.add_column("calls", sa.Column("hold_s", sa.Double(), nullable=True))
    op.add_column("calls", sa.Column("after_call_s", sa.Double(), nullable=True))
    op.add_column("calls", sa.Column("disposition_code", sa.Text(), nullable=True))
    op.add_column("calls", sa.Column("resolved", sa.Boolean(), nullable=True))
    op.add_column("calls", sa.Column("transferred", sa.Boolean(), nullable=True))
    op.create_index("ix_calls_caller_key_started_at", "calls", ["caller_key", "started_at"])


def downgrade() -> None:
    """Not to be had: what call records told would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
