"""A call whose page has something of everything: sound on two channels, evidence, redactions."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from invented_records import NOW, make_missed_emergency

from qa_monitor.audio import write_audio
from qa_monitor.calls import (
    SAMPLE_RATE_HZ,
    CallRecord,
    Criterion,
    DecodedAudio,
    EntityType,
    Evidence,
    ScoreStatus,
    Span,
)
from qa_monitor.monitor import Monitor
from qa_monitor.scoring.rubric import load_rubric

if TYPE_CHECKING:
    from playwright.sync_api import Page

CALL = "north-call"
DURATION_S = 45.0


def make_heard_call(call_id: str = CALL, *, agent_id: str = "agent-01") -> CallRecord:
    """A missed emergency of 45 seconds: turns five seconds apart, agent left, caller right."""
    record = make_missed_emergency(call_id, rubric=load_rubric(None))
    turns = list(record.dialogue.turns)
    greeting = turns[0].text
    spans = tuple(
        Span(
            start=greeting.index(placeholder),
            end=greeting.index(placeholder) + len(placeholder),
            source_start=0,
            source_end=5,
            entity_type=entity_type,
            recognizer="invented",
            confidence=0.9,
            start_s=start_s,
            end_s=start_s + 0.8,
        )
        for placeholder, entity_type, start_s in (
            ("<ORGANIZATION_1>", EntityType.ORGANIZATION, 1.2),
            ("<PERSON_1>", EntityType.PERSON, 2.4),
        )
    )
    turns[0] = replace(turns[0], spans=spans)
    turns[7] = replace(turns[7], is_doubtful=True)
    pain = turns[1].text.index("crushing")
    feelings = (
        Evidence(turn_index=1, start=pain, end=pain + len("crushing chest pain")),
        Evidence(turn_index=3, start=0, end=len(turns[3].text)),
    )
    card = record.scorecard
    scores = []
    for score in card.scores:
        if score.criterion is Criterion.EMPATHY:
            score = replace(
                score,
                points=2.0,
                low=1.4,
                high=2.9,
                status=ScoreStatus.SCORED,
                evidence=feelings,
                reason="Neither fear was answered.",
            )
        if score.criterion is Criterion.ACTIVE_LISTENING:
            score = replace(score, points=None, status=ScoreStatus.ABSTAINED, evidence=())
        scores.append(score)
    return replace(
        record,
        recording=replace(
            record.recording, agent_id=agent_id, started_at=NOW, duration_s=DURATION_S, channels=2
        ),
        dialogue=replace(record.dialogue, turns=tuple(turns)),
        scorecard=replace(card, scores=tuple(scores)),
        warnings=("demonstration_model",),
    )


def make_sound(duration_s: float = DURATION_S) -> DecodedAudio:
    """Bursts of a tone, the agent's and the caller's by turns of five seconds."""
    times = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * 220 * times) * 8000 * (times % 5 < 4)
    is_agent = (times // 5) % 2 == 0
    return DecodedAudio(np.stack([tone * is_agent, tone * ~is_agent]).astype(np.int16))


def keep_heard_call(monitor: Monitor, call_id: str = CALL, *, agent_id: str = "agent-01") -> None:
    """Store the call, and its sound where the pages look for it."""
    monitor.store.save_record(make_heard_call(call_id, agent_id=agent_id), (), now=NOW)
    write_audio(monitor.kept_copy(call_id), make_sound())


def until(page: Page, claim: str) -> None:
    """Wait until the script ``claim`` is true; the page's own policy forbids Playwright's way."""
    end = time.monotonic() + 30
    while not page.evaluate(claim):
        assert time.monotonic() < end, f"not so after 30 s: {claim}"
        page.wait_for_timeout(20)
