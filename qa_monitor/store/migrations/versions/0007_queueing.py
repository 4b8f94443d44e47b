"""What is to be reviewed, by whom, and what was seen blind."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
