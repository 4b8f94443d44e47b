"""What lists of calls are filtered and searched by, and the lists that users keep."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

# Of what is indexed there is one definition; were it to change, all would be indexed anew.
from qa_monitor.store.words import indexed_words

revision = "0005"
down_revision = "0004"

_BATCH = 200

_FILL = """
INSERT INTO call_index (
    call_id, agent_id, queue, direction, started_at, sorted_at, duration_s, call_type, escalated,
    total, needs_review, is_abstained, is_auto_failed, is_alerted, urgency, empathy,
    active_listening, escalation
)
SELECT calls.call_id, calls.agent_id, calls.queue, calls.direction, calls.started_at,
    coalesce(calls.started_at, calls.first_scored_at), calls.duration_s, scorecards.call_type,
    scorecards.escalated, scorecards.total, scorecards.needs_review,
    EXISTS (SELECT 1 FROM scores WHERE scores.card_id = runs.card_id
            AND scores.status = 'abstained'),
    scorecards.auto_failed <> '[]',
    EXISTS (SELECT 1 FROM alerts WHERE alerts.call_id = calls.call_id),
    (SELECT CASE points WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 3 THEN 3 END
     FROM scores WHERE scores.card_id = runs.card_id AND criterion = 'urgency'),
    (SELECT points FROM scores WHERE scores.card_id = runs.card_id AND criterion = 'empathy'),
    (SELECT points FROM scores
     WHERE scores.card_id = runs.card_id AND criterion = 'active_listening'),
    (SELECT points FROM scores WHERE scores.card_id = runs.card_id AND criterion = 'escalation')
FROM calls
JOIN runs ON runs.run_id = calls.latest_run_id
JOIN scorecards ON scorecards.card_id = runs.card_id
ORDER BY calls.first_scored_at, calls.latest_run_id
"""

# FTS5 keeps no text of its own here, so whoever changes call_words tells it what was there. The
# words come ready made: "ascii" parts them at spaces and leaves the rest as it is.
_SQLITE = (
    """
    CREATE VIRTUAL TABLE call_search USING fts5(
        words, content='call_words', content_rowid='call_number', tokenize='ascii'
    )
    """,
    """
    CREATE TRIGGER call_words_added AFTER INSERT ON call_words BEGIN
        INSERT INTO call_search (rowid, words) VALUES (new.call_number, new.words);
    END
    """,
    """
    CREATE TRIGGER call_words_deleted AFTER DELETE ON call_words BEGIN
        INSERT INTO call_search (call_search, rowid, words)
        VALUES ('delete', old.call_number, old.words);
    END
    """,
    """
    CREATE TRIGGER call_words_changed AFTER UPDATE ON call_words BEGIN
        INSERT INTO call_search (call_search, rowid, words)
        VALUES ('delete', old.call_number, old.words);
        INSERT INTO call_search (rowid, words) VALUES (new.call_number, new.words);
    END
    """,
)
_POSTGRESQL = (
    "CREATE INDEX call_search ON call_words "
    "USING gin (array_to_tsvector(string_to_array(words, ' ')))",
)


def upgrade() -> None:
    """Add the tables and fill them from the calls there are."""
    op.create_table(
        "call_index",
        sa.Column("call_number", sa.Integer(), nullable=False),
        sa.Column("sorted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agent_id", sa.Text(), nullable=True),
        sa.Column("urgency", sa.Integer(), nullable=True),
        sa.Column("total", sa.Double(), nullable=True),
        sa.Column("call_type", sa.Text(), nullable=True),
        sa.Column("escalated", sa.Text(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("is_abstained", sa.Boolean(), nullable=False),
        sa.Column("is_auto_failed", sa.Boolean(), nullable=False),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("empathy", sa.Double(), nullable=True),
        sa.Column("active_listening", sa.Double(), nullable=True),
        sa.Column("escalation", sa.Double(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call_number", name="pk_call_index"),
        sa.UniqueConstraint("call_id", name="uq_call_index_call_id"),
        sa.ForeignKeyConstraint(
            ["call_id"],
            ["calls.call_id"],
            name="fk_call_index_call_id_calls",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "call_words",
        sa.Column("call_number", sa.Integer(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("turns", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call_number", name="pk_call_words"),
        sa.ForeignKeyConstraint(
            ["call_number"],
            ["call_index.call_number"],
            name="fk_call_words_call_number_call_index",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "saved_views",
        sa.Column("view_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("view_id", name="pk_saved_views"),
        sa.UniqueConstraint("user_id", "name", name="uq_saved_views_user_id_name"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.user_id"],
            name="fk_saved_views_user_id_users",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    connection = op.get_bind()
    for statement in _POSTGRESQL if connection.dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
    op.execute(_FILL)
    _fill_words(connection)
    op.create_index(
        "ix_call_index_sorted_at_call_number", "call_index", ["sorted_at", "call_number"]
    )
    op.create_index("ix_call_index_agent_id_sorted_at", "call_index", ["agent_id", "sorted_at"])
    op.create_index(
        "ix_call_index_agent_id_queue_call_type", "call_index", ["agent_id", "queue", "call_type"]
    )
    op.create_index("ix_call_index_queue", "call_index", ["queue"])
    op.create_index("ix_call_index_call_type", "call_index", ["call_type"])


def _fill_words(connection: sa.Connection) -> None:
    query = sa.text(
        "SELECT call_index.call_number, transcripts.dialogue FROM call_index "
        "JOIN calls ON calls.call_id = call_index.call_id "
        "JOIN transcripts ON transcripts.run_id = calls.latest_run_id "
        "WHERE call_index.call_number > :after ORDER BY call_index.call_number LIMIT :batch"
    )
    add = sa.text(
        "INSERT INTO call_words (call_number, words, turns) VALUES (:number, :words, :turns)"
    )
    after = 0
    while rows := connection.execute(query, {"after": after, "batch": _BATCH}).all():
        connection.execute(add, [_words_of(row.call_number, row.dialogue) for row in rows])
        after = rows[-1].call_number


def _words_of(number: int, dialogue: str) -> dict[str, object]:
    turns = [
        (turn["role"], turn["start_s"], turn["text"]) for turn in json.loads(dialogue)["turns"]
    ]
    words = indexed_words(text for _, _, text in turns)
    return {"number": number, "words": words, "turns": json.dumps(turns, separators=(",", ":"))}


def downgrade() -> None:
    """Not to be had: the lists that users keep would be lost."""
    raise NotImplementedError("restore the database from a backup of before the upgrade")
