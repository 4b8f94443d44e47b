"""What is to be reviewed, by whom, and what was read blind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the tables; every call that is there is to be looked at once."""
    op.create_table(
        "review_tasks",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("place", sa.Double(), nullable=False),
        sa.Column("is_blind", sa.Boolean(), nullable=False),
        sa.Column("is_random", sa.Boolean(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("assigned_by", sa.Text(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("was_blind", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name="pk_review_tasks"),
        sa.UniqueConstraint("call_id", "purpose", name="uq_review_tasks_call_id_purpose"),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["calls.call_id"],
            name="fk_review_tasks_call_id_calls",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    for columns in (
        ["state", "rank", "place"],
        ["state", "began_at"],
        ["assigned_to", "state"],
        ["taken_by", "state"],
        ["closed_by", "closed_at"],
    ):
        op.create_index(f"ix_review_tasks_{'_'.join(columns)}", "review_tasks", columns)
    op.create_table(
        "review_skips",
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("skipped_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "user_id", name="pk_review_skips"),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["review_tasks.task_id"],
            name="fk_review_skips_task_id_review_tasks",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "queue_coverage",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_queue_coverage"),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["calls.call_id"],
            name="fk_queue_coverage_call_id_calls",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "queue_changes",
        sa.Column("change_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", name="pk_queue_changes"),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["calls.call_id"],
            name="fk_queue_changes_call_id_calls",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_changes_call_id", "queue_changes", ["call_id"])
    op.create_table(
        "queue_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_queue_marks"),
    )
    op.execute("INSERT INTO queue_changes (call_id) SELECT call_id FROM calls")


def downgrade() -> None:
    """Not to be had: who reviewed what would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
