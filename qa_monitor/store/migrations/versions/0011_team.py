"""What the team page counts of each call."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from alembic import op

# Of what is counted there is one definition; were it to change, all would be counted anew.
from qa_monitor.store.team import figures_of

revision = "0011"
down_revision = "0010"

_BATCH = 200

_TABLE: tuple[sa.Column[Any], ...] = (
    sa.Column("call_id", sa.Text(), nullable=False),
    sa.Column("agent_id", sa.Text(), nullable=True),
    sa.Column("began_s", sa.Double(), nullable=True),
    sa.Column("quarter", sa.Integer(), nullable=True),
    sa.Column("is_outbound", sa.Boolean(), nullable=False),
    sa.Column("caller", sa.BigInteger(), nullable=True),
    sa.Column("contact", sa.Text(), nullable=False),
    sa.Column("resolved", sa.Boolean(), nullable=True),
    sa.Column("call_type", sa.Text(), nullable=True),
    sa.Column("handle_s", sa.Integer(), nullable=True),
    sa.Column("handle_basis", sa.Text(), nullable=True),
    sa.Column("is_promised", sa.Boolean(), nullable=False),
    sa.Column("checklist", sa.Text(), nullable=False),
)

_CALLS = """
SELECT calls.call_id, calls.agent_id, calls.started_at, calls.direction, calls.caller_key,
    calls.interaction_id, calls.resolved, calls.hold_s, calls.after_call_s, scorecards.call_type,
    runs.metrics, scorecards.checklist, transcripts.findings
FROM calls
JOIN runs ON runs.run_id = calls.latest_run_id
JOIN scorecards ON scorecards.card_id = runs.card_id
JOIN transcripts ON transcripts.run_id = runs.run_id
WHERE calls.call_id > :after ORDER BY calls.call_id LIMIT :batch
"""


def upgrade() -> None:
    """Add the table and fill it from the calls there are."""
    figures = op.create_table(
        "call_figures",
        *_TABLE,
        sa.PrimaryKeyConstraint("call_id", name="pk_call_figures"),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["calls.call_id"],
            name="fk_call_figures_call_id_calls",
            ondelete="CASCADE",
        ),
    )
    assert figures is not None
    connection = op.get_bind()
    query = sa.text(_CALLS).columns(started_at=sa.DateTime(timezone=True), resolved=sa.Boolean())
    after = ""
    while rows := connection.execute(query, {"after": after, "batch": _BATCH}).all():
        connection.execute(
            sa.insert(figures),
            [
                figures_of(
                    SimpleNamespace(**{**row._mapping, "started_at": _aware(row.started_at)})
                )
                for row in rows
            ],
        )
        after = rows[-1].call_id
    op.create_index("ix_call_figures_began_s", "call_figures", ["began_s"])
    op.create_index(
        "ix_call_figures_contacts",
        "call_figures",
        ["caller", "contact", "began_s", "is_outbound", "resolved", "agent_id"],
    )


def _aware(when: datetime | None) -> datetime | None:
    """SQLite keeps no zone; what is stored is UTC."""
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def downgrade() -> None:
    """Back without the figures, which can be made again."""
    op.drop_table("call_figures")
