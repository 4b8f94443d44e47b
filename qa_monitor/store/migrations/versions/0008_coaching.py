"""Notes, goals, acknowledgements and disputes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "coaching_notes",
        sa.Column("note_id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.Column("at_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("note_id", name="pk_coaching_notes"),
        _of_call("coaching_notes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_coaching_notes_agent_id", "coaching_notes", ["agent_id"])
    op.create_index("ix_coaching_notes_call_id", "coaching_notes", ["call_id"])
    op.create_table(
        "goals",
        sa.Column("goal_id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("target", sa.Double(), nullable=False),
        sa.Column("is_at_least", sa.Boolean(), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=True),
        sa.Column("baseline_n", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("goal_id", name="pk_goals"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_goals_agent_id_state", "goals", ["agent_id", "state"])
    _create_events("goal_events", "goal_id", "goals")
    op.create_table(
        "acknowledgements",
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("agent_id", "kind", "object_id", name="pk_acknowledgements"),
        _of_call("acknowledgements"),
    )
    op.create_index("ix_acknowledgements_call_id", "acknowledgements", ["call_id"])
    op.create_table(
        "answers",
        sa.Column("answer_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", name="pk_answers"),
        _of_call("answers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_answers_call_id", "answers", ["call_id"])
    op.create_index("ix_answers_agent_id", "answers", ["agent_id"])
    op.create_table(
        "shown_calls",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("first_shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "agent_id", name="pk_shown_calls"),
        _of_call("shown_calls"),
    )
    op.create_table(
        "disputes",
        sa.Column("dispute_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("criterion", sa.Text(), nullable=False),
        sa.Column("points", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("points_after", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("dispute_id", name="pk_disputes"),
        _of_call("disputes"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name="fk_disputes_run_id_runs", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    for column in ("call_id", "agent_id", "run_id", "state"):
        op.create_index(f"ix_disputes_{column}", "disputes", [column])
    _create_events("dispute_events", "dispute_id", "disputes")


def _of_call(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["call_id"], ["calls.call_id"], name=f"fk_{table}_call_id_calls", ondelete="CASCADE"
    )


def _create_events(table: str, key: str, of: str) -> None:
    op.create_table(
        table,
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column(key, sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            [key], [f"{of}.{key}"], name=f"fk_{table}_{key}_{of}", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{table}_{key}", table, [key])


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
