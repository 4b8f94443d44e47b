"""What lists of calls are filtered and searched by."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
