"""Why a state of an alert was set, reminders in the outbox, and what watched folders brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Widen history and outbox; add the tables of watched folders."""
    op.add_column("alert_events", sa.Column("note", sa.Text(), nullable=True))
    with op.batch_alter_table("deliveries", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("after_s", sa.Double(), nullable=False, server_default="0"))
        table.add_column(
            sa.Column("is_held", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        table.drop_constraint("uq_deliveries_alert_id_channel_severity", type_="unique")
        table.create_unique_constraint(
            "uq_deliveries_alert_id_channel_severity_step",
            ["alert_id", "channel", "severity", "step"],
        )
    op.create_index("ix_alerts_raised_at", "alerts", ["raised_at"])
    op.create_table(
        "watched_files",
        sa.Column("path_digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_ns", sa.BigInteger(), nullable=False),
        sa.Column("known_by", sa.Text(), nullable=False),
        sa.Column("is_failed", sa.Boolean(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("path_digest", name="pk_watched_files"),
    )
    op.create_table(
        "arrivals",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("was_waiting", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.call_id"], name="fk_arrivals_call_id_calls", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("call_id", name="pk_arrivals"),
    )
    op.create_index("ix_arrivals_saved_at", "arrivals", ["saved_at"])


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
