"""Legal holds, and what was deleted when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("caller_key", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("hold_id", name="pk_holds"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_holds_call_id", "holds", ["call_id"])
    op.create_table(
        "deletions",
        sa.Column("deletion_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("recording_key", sa.Text(), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("deletion_id", name="pk_deletions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deletions_call_id", "deletions", ["call_id"])
    op.create_index("ix_deletions_recording_key", "deletions", ["recording_key"])


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
