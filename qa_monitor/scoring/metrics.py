"""Measures of the call itself: how long, who spoke, who broke in."""

from __future__ import annotations

from collections.abc import Sequence

from qa_monitor.calls import RedactedDialogue, RedactedTurn
from qa_monitor.scoring.labels import AGENT_ROLES, CALLER_ROLES

__all__ = ["call_metrics", "interruptions"]

_OVERLAP_S = 0.3
_LONG_SILENCE_S = 10.0


def call_metrics(dialogue: RedactedDialogue) -> dict[str, float]:
    """Counts, and where turns have times also seconds and shares.

    Always: ``turns``, ``agent_turns``, ``caller_turns``, ``words``, ``agent_word_share``,
    ``questions_by_agent``. With times: ``talk_span_s`` (first word to last), ``talk_s``,
    ``agent_talk_share`` and ``caller_talk_share`` (of all talk), ``silence_share`` and
    ``longest_silence_s``, ``long_silences`` (10 s and more), ``overlap_s``,
    ``agent_interruptions``, ``caller_interruptions``, ``agent_words_per_min``. Shares are 0 to 1.
    """
    agent = [turn for turn in dialogue.turns if turn.role in AGENT_ROLES]
    caller = [turn for turn in dialogue.turns if turn.role in CALLER_ROLES]
    words = sum(_words(turn) for turn in dialogue.turns)
    measures = {
        "turns": float(len(dialogue.turns)),
        "agent_turns": float(len(agent)),
        "caller_turns": float(len(caller)),
        "words": float(words),
        "agent_word_share": sum(map(_words, agent)) / words if words else 0.0,
        "questions_by_agent": float(sum(turn.text.count("?") for turn in agent)),
    }
    times = _times(dialogue.turns)
    if times:
        measures |= _timed(times, agent, caller)
    return measures


def interruptions(dialogue: RedactedDialogue) -> int | None:
    """How often the agent began while the caller spoke and went on after.

    ``None`` where turns have no times.
    """
    if not _times(dialogue.turns):
        return None
    return _breaks(dialogue.turns, AGENT_ROLES, CALLER_ROLES)


def _timed(
    times: Sequence[tuple[float, float]],
    agent: Sequence[RedactedTurn],
    caller: Sequence[RedactedTurn],
) -> dict[str, float]:
    span = max(end for _, end in times) - min(start for start, _ in times)
    silences: list[float] = []
    covered = overlap = 0.0
    reached = min(start for start, _ in times)
    for start, end in sorted(times):
        if start > reached:
            silences.append(start - reached)
        overlap += max(0.0, min(end, reached) - start)
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    agent_s, caller_s = _talk(agent), _talk(caller)
    talk_s = agent_s + caller_s
    both = [*agent, *caller]
    return {
        "talk_span_s": span,
        "talk_s": covered,
        "agent_talk_share": agent_s / talk_s if talk_s else 0.0,
        "caller_talk_share": caller_s / talk_s if talk_s else 0.0,
        "silence_share": 1 - covered / span if span else 0.0,
        "longest_silence_s": max(silences, default=0.0),
        "long_silences": float(sum(silence >= _LONG_SILENCE_S for silence in silences)),
        "overlap_s": overlap,
        "agent_interruptions": float(_breaks(both, AGENT_ROLES, CALLER_ROLES)),
        "caller_interruptions": float(_breaks(both, CALLER_ROLES, AGENT_ROLES)),
        "agent_words_per_min": sum(map(_words, agent)) / agent_s * 60 if agent_s else 0.0,
    }


def _times(turns: Sequence[RedactedTurn]) -> list[tuple[float, float]]:
    return [
        (turn.start_s, max(turn.start_s, turn.end_s))
        for turn in turns
        if turn.start_s is not None and turn.end_s is not None
    ]


def _talk(turns: Sequence[RedactedTurn]) -> float:
    return sum(end - start for start, end in _times(turns))


def _breaks(
    turns: Sequence[RedactedTurn], breaking: frozenset[object], broken: frozenset[object]
) -> int:
    """Turns by ``breaking`` that begin inside a turn by ``broken`` and outlast it."""
    timed = [t for t in turns if t.start_s is not None and t.end_s is not None]
    count = 0
    for turn in timed:
        if turn.role not in breaking:
            continue
        for other in timed:
            assert turn.start_s is not None
            assert turn.end_s is not None
            assert other.start_s is not None
            assert other.end_s is not None
            if (
                other.role in broken
                and other.start_s < turn.start_s < other.end_s - _OVERLAP_S
                and turn.end_s > other.end_s
            ):
                count += 1
                break
    return count


def _words(turn: RedactedTurn) -> int:
    return len(turn.text.split())
