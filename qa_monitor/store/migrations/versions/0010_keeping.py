"""Legal holds, and what was deleted when."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
