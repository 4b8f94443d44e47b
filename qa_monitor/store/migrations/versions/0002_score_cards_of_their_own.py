"""Score cards of their own: a run can have one for each rubric; scores belong to a card."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OF_A_CARD = (
    "rubric_version",
    "total",
    "needs_review",
    "review_reasons",
    "call_type",
    "also",
    "call_type_confidence",
    "urgency_probability",
    "escalated",
    "escalation_delay_s",
)
_OF_A_SCORE = (
    "criterion",
    "position",
    "points",
    "max_points",
    "confidence",
    "reason",
    "evidence",
)


def upgrade() -> None:
    """Move what runs held of their card into a card of its own, which is the one in use."""
    op.create_table(
        "scorecards",
        sa.Column("card_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("rubric_version", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total", sa.Double(), nullable=True),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("review_reasons", sa.Text(), nullable=False),
        sa.Column("call_type", sa.Text(), nullable=True),
        sa.Column("also", sa.Text(), nullable=False),
        sa.Column("call_type_confidence", sa.Double(), nullable=False),
        sa.Column("urgency_probability", sa.Double(), nullable=True),
        sa.Column("escalated", sa.Text(), nullable=True),
        sa.Column("escalation_delay_s", sa.Double(), nullable=True),
        sa.Column("checklist", sa.Text(), nullable=False),
        sa.Column("auto_failed", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name="fk_scorecards_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("card_id", name="pk_scorecards"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_scorecards_run_id_rubric_version", "scorecards", ["run_id", "rubric_version"]
    )
    of_a_card = ", ".join(_OF_A_CARD)
    op.execute(
        f"INSERT INTO scorecards (run_id, made_at, {of_a_card}, checklist, auto_failed) "
        f"SELECT run_id, scored_at, {of_a_card}, '[]', '[]' FROM runs ORDER BY run_id"
    )
    # Not renamed: names of indexes, the primary key's among them, are one to a schema.
    op.execute("CREATE TABLE scores_of_runs AS SELECT * FROM scores")
    op.drop_table("scores")
    op.create_table(
        "scores",
        sa.Column("card_id", sa.Integer(), nullable=False),
        sa.Column("criterion", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("points", sa.Double(), nullable=True),
        sa.Column("max_points", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("effects", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["card_id"],
            ["scorecards.card_id"],
            name="fk_scores_card_id_scorecards",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("card_id", "criterion", name="pk_scores"),
    )
    of_a_score = ", ".join(_OF_A_SCORE)
    op.execute(
        f"INSERT INTO scores (card_id, {of_a_score}, status, effects) "
        f"SELECT card_id, {of_a_score}, "
        "CASE WHEN points IS NULL THEN 'not_assessable' ELSE 'scored' END, '[]' "
        "FROM scores_of_runs JOIN scorecards ON scorecards.run_id = scores_of_runs.run_id"
    )
    op.drop_table("scores_of_runs")
    with op.batch_alter_table("runs", table_kwargs={"sqlite_autoincrement": True}) as runs:
        runs.add_column(sa.Column("card_id", sa.Integer(), nullable=True))
        for name in _OF_A_CARD:
            runs.drop_column(name)
    op.execute(
        "UPDATE runs SET card_id = "
        "(SELECT card_id FROM scorecards WHERE scorecards.run_id = runs.run_id)"
    )


def downgrade() -> None:
    """Not to be had: a run of before held one card only, and others would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
