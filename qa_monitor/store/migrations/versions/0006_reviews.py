"""What people say of calls: judgements, comments, finished reviews, and who had them rescored."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def _of_call_and_run(table: str) -> tuple[sa.ForeignKeyConstraint, sa.ForeignKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.call_id"], name=f"fk_{table}_call_id_calls", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id_runs", ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        *_of_call_and_run("reviews"),
        sa.PrimaryKeyConstraint("review_id", name="pk_reviews"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reviews_call_id_user_id", "reviews", ["call_id", "user_id"])
    op.create_index("ix_reviews_done_at", "reviews", ["done_at"])
    op.create_index("ix_reviews_run_id", "reviews", ["run_id"])
    op.create_table(
        "judgements",
        sa.Column("judgement_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("card_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("points", sa.Double(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("review_id", sa.Integer(), nullable=True),
        *_of_call_and_run("judgements"),
        sa.ForeignKeyConstraint(
            ["card_id"],
            ["scorecards.card_id"],
            name="fk_judgements_card_id_scorecards",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["review_id"],
            ["reviews.review_id"],
            name="fk_judgements_review_id_reviews",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("judgement_id", name="pk_judgements"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_judgements_call_id_user_id_run_id_subject",
        "judgements",
        ["call_id", "user_id", "run_id", "subject"],
    )
    for column in ("card_id", "judged_at", "review_id", "run_id"):
        op.create_index(f"ix_judgements_{column}", "judgements", [column])
    op.create_table(
        "comments",
        sa.Column("comment_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=True),
        sa.Column("end_s", sa.Double(), nullable=True),
        sa.Column("turn_index", sa.Integer(), nullable=True),
        sa.Column("is_for_agent", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        *_of_call_and_run("comments"),
        sa.PrimaryKeyConstraint("comment_id", name="pk_comments"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comments_call_id", "comments", ["call_id"])
    op.create_index("ix_comments_run_id", "comments", ["run_id"])
    op.create_table(
        "rescorings",
        sa.Column("rescoring_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("rubric_version", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        *_of_call_and_run("rescorings"),
        sa.PrimaryKeyConstraint("rescoring_id", name="pk_rescorings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rescorings_call_id", "rescorings", ["call_id"])
    op.create_index("ix_rescorings_run_id", "rescorings", ["run_id"])


def downgrade() -> None:
    """Not to be had: what people said would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
