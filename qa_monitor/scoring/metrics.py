"""Measures of the call itself: how long, who spoke, who broke in, who kept whom waiting.

``METRICS`` says of every measure its unit, what it means, and whose term it is. ``call_metrics``
gives those that a call tells by itself; ``call_measures`` joins them with what call records and
the caller's other calls tell, each with what it rests on. Nothing here is a judgement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final

from qa_monitor.calls import (
    CallType,
    Contacts,
    Evidence,
    Measure,
    Metric,
    Recording,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Unit,
)
from qa_monitor.scoring.labels import AGENT_ROLES, CALLER_ROLES

__all__ = [
    "METRICS",
    "Interruption",
    "Silence",
    "SilenceKind",
    "broken_in",
    "call_measures",
    "call_metrics",
    "dead_air",
    "find_interruptions",
    "find_silences",
    "interruptions",
]

_BREAK_IN_S = 0.3
"""Shorter overlaps are how turns change: people come in on the last syllable [Sacks 1974]."""

_LONG_SILENCE_S = 10.0
"""After this long a caller asks whether anybody is there."""

_HOLD_S = 20.0
"""Announced silences are taken for holds from here on; in shorter ones the line stays open."""

_ANNOUNCED_WITHIN_S = 15.0
_ANNOUNCING_TURNS = 3
_ANNOUNCING_WORDS = 20
"""How near to a silence it is announced: at the end of one of the last turns before it."""

_BACKCHANNEL_WORDS = 3
_BACKCHANNEL_S = 1.0
"""What is no longer than this ("mm-hm", "okay, yes") ends nobody's monologue [Yngve 1970]."""

# --- words ---------------------------------------------------------------------------------------

# Only what one says to somebody who is to wait. English, as the models are; a word too few makes an
# announced silence dead air, so common wordings matter more than rare ones. Matched in lower case
# without punctuation, as recognisers write.
_HOLD_WORDS: Final = re.compile(
    r"\b(?:on (?:a )?(?:brief |quick |short )?hold|(?:please|can you|could you|will you|you) hold|"
    r"hold (?:the line|please|for (?:me|a|one|just))|be right back(?: with you)?|"
    r"(?:i ?ll|let me|going to|gonna) (?:transfer|connect|put) you)\b"
)
_WAIT_WORDS: Final = re.compile(
    r"\b(?:bear with (?:me|us)|hang on|hold on|hang tight|"
    r"(?:one|a|two|just a|just one|another|a couple(?: of)?) (?:quick |wee |little )?"
    r"(?:moments?|seconds?|secs?|minutes?|mins?|ticks?)|"
    r"(?:let me|lemme|i ?ll|i m) (?:just |quickly |go |go and |gonna |going to |try to )*"
    r"(?:check|checking|look|looking|pull|pulling|see|find|finding|get|getting|grab|bring|bringing|"
    r"open|opening|load|loading|ask|confirm|verify|speak|talk|read|reading|type|typing)\b|"
    r"while i (?:just )?(?:check|look|pull|find|get|grab|bring|open|ask|type|read)|"
    r"(?:system|computer|screen|page) (?:is|s) (?:a bit |a little |really |so |very )?"
    r"(?:slow|loading|frozen|catching up))\b"
)
_BACK_WORDS: Final = re.compile(
    r"\b(?:(?:thanks|thank you)(?: so much| very much)? for (?:holding|waiting|hanging on|"
    r"your patience|bearing with)|"
    r"sorry (?:about|for) (?:the|that|your) (?:wait|hold|delay)|sorry to keep you)\b"
)

_PUNCTUATION: Final = re.compile(r"[.!?,]")

# For recognisers that write no question marks: what a question begins with, and a statement rarely.
_ASKING_WORDS: Final = re.compile(
    r"\b(?:(?:what|when|where|who|how|why|which)"
    r"(?: s| is| are| was| were| do| does| did| can| would| will| should|"
    r" many| much| long| old| far| about| kind of| time| day)|"
    r"(?:can|could|would|will|do|did|are|were|have|may|shall|should|is|does|has)"
    r" (?:you|i|we|he|she|they|it|that|there|your|anyone|anybody|anything))\b"
)

# --- what is measured ----------------------------------------------------------------------------

_OURS = "qa_monitor"
_CONTACT_CENTRE = "ICMI glossary; COPC CX Standard"
_ANALYTICS = "speech analytics"
_CONVERSATION = "Sacks, Schegloff & Jefferson 1974"

_ROWS: tuple[tuple[str, Unit, str, str], ...] = (
    (
        "handle_time_s",
        "s",
        "Talk time, hold time and after-call work. The mean over calls is AHT.",
        _CONTACT_CENTRE,
    ),
    (
        "talk_time_s",
        "s",
        "From the agent's first word to the last word of the call, without holds.",
        _CONTACT_CENTRE,
    ),
    ("hold_s", "s", "Time on hold.", _CONTACT_CENTRE),
    ("after_call_s", "s", "After-call work (wrap-up).", _CONTACT_CENTRE),
    ("transferred", "yes_no", "Whether the call was transferred.", _CONTACT_CENTRE),
    ("resolved", "yes_no", "Whether the centre closed the matter with this call.", _CONTACT_CENTRE),
    (
        "first_contact_resolved",
        "yes_no",
        "First-contact resolution (FCR): whether the matter was settled in the first contact about "
        "it. By the call record, else by whether the caller phoned again; never by words.",
        _CONTACT_CENTRE,
    ),
    (
        "earlier_calls",
        "count",
        "Repeat caller: contacts by the same caller in the days before, one for each interaction.",
        _CONTACT_CENTRE,
    ),
    (
        "earlier_calls_of_type",
        "count",
        "Those of them that were about the same: whose primary type is this call's.",
        _CONTACT_CENTRE,
    ),
    (
        "since_earlier_call_s",
        "s",
        "From the beginning of the last of them to that of this call.",
        _CONTACT_CENTRE,
    ),
    ("turns", "count", "Turns of anybody.", _CONVERSATION),
    ("agent_turns", "count", "Turns of agents and other staff.", _CONVERSATION),
    ("caller_turns", "count", "Turns of callers and third persons.", _CONVERSATION),
    ("words", "count", "Words of anybody; a placeholder is one word.", _OURS),
    ("agent_word_share", "share", "The agent's words, of all words.", _ANALYTICS),
    (
        "questions_by_agent",
        "count",
        "Questions of the agent: question marks, or where nothing is punctuated, phrases that ask.",
        _ANALYTICS,
    ),
    ("talk_span_s", "s", "From the first word of anybody to the last.", _OURS),
    ("talk_s", "s", "Time in which anybody speaks.", _OURS),
    ("queue_s", "s", "From the first word of anybody to the agent's first.", _OURS),
    ("agent_talk_s", "s", "The agent's turns, added up.", _ANALYTICS),
    ("caller_talk_s", "s", "The caller's turns, added up.", _ANALYTICS),
    (
        "other_talk_s",
        "s",
        "Turns of systems, interpreters and unknown speakers, added up.",
        _ANALYTICS,
    ),
    ("agent_talk_share", "share", "The agent's talk, of agent's and caller's.", _ANALYTICS),
    ("caller_talk_share", "share", "The caller's talk, of agent's and caller's.", _ANALYTICS),
    ("silence_share", "share", "Time in which nobody speaks, of the talk span.", _ANALYTICS),
    (
        "agent_silence_share",
        "share",
        "Silence that the agent ends, of the talk span.",
        "switching pause, Jaffe & Feldstein 1970",
    ),
    (
        "caller_silence_share",
        "share",
        "Silence that the caller ends, of the talk span.",
        "switching pause, Jaffe & Feldstein 1970",
    ),
    ("longest_silence_s", "s", "The longest silence.", _ANALYTICS),
    (
        "long_silences",
        "count",
        f"Silences of {_LONG_SILENCE_S:g} s and more, of any kind.",
        _ANALYTICS,
    ),
    (
        "dead_airs",
        "count",
        f"Dead air: silences of {_LONG_SILENCE_S:g} s and more that nobody announced and that wait "
        "for no answer of the caller.",
        "dead air, broadcasting and contact centres",
    ),
    ("dead_air_s", "s", "Dead air, added up.", "dead air, broadcasting and contact centres"),
    (
        "announced_silences",
        "count",
        f"Silences of {_LONG_SILENCE_S:g} to {_HOLD_S:g} s that the agent announced (bear with me, "
        "one moment).",
        _OURS,
    ),
    (
        "holds_estimated",
        "count",
        f"Holds as far as they can be heard: announced silences of {_HOLD_S:g} s and more, and "
        "those ended with thanks for waiting; music is silence.",
        _OURS,
    ),
    ("hold_estimated_s", "s", "Those holds, added up.", _OURS),
    ("overlap_s", "s", "Time in which more than one speaks.", _CONVERSATION),
    (
        "agent_interruptions",
        "count",
        f"Turns of the agent that begin in one of the caller's, more than {_BREAK_IN_S:g} s before "
        "its end, and outlast it.",
        "interruption, Zimmerman & West 1975",
    ),
    (
        "caller_interruptions",
        "count",
        "Turns of the caller that break in on the agent's in the same way.",
        "interruption, Zimmerman & West 1975",
    ),
    (
        "agent_interruption_overlap_s",
        "s",
        "How long both speak when the agent breaks in, added up.",
        _CONVERSATION,
    ),
    (
        "caller_interruption_overlap_s",
        "s",
        "How long both speak when the caller breaks in, added up.",
        _CONVERSATION,
    ),
    (
        "agent_response_latency_s",
        "s",
        "From the end of the caller's turn to the agent's next: the median, holds and announced "
        "silences left out, 0 where they overlap.",
        "gap, Heldner & Edlund 2010",
    ),
    ("agent_words_per_min", "per_min", "The agent's speech rate.", _ANALYTICS),
    ("caller_words_per_min", "per_min", "The caller's speech rate.", _ANALYTICS),
    (
        "agent_longest_monologue_s",
        "s",
        "The agent's longest stretch without more than a word between and without a long silence.",
        _ANALYTICS,
    ),
    (
        "caller_longest_monologue_s",
        "s",
        "The caller's longest stretch of the same kind.",
        _ANALYTICS,
    ),
)

METRICS: Final[Mapping[str, Metric]] = {
    name: Metric(name=name, unit=unit, says=says, source=source)
    for name, unit, says, source in _ROWS
}
"""Every measure by its name, in the order in which they are shown."""


def call_metrics(dialogue: RedactedDialogue) -> dict[str, float]:
    """What the turns tell: counts, and with times also seconds and shares, as ``METRICS`` has them.

    Turns without times, or with impossible ones, count and are timed nowhere. What is timed is
    missing where no turn has times.
    """
    agent = [turn for turn in dialogue.turns if turn.role in AGENT_ROLES]
    caller = [turn for turn in dialogue.turns if turn.role in CALLER_ROLES]
    words = sum(map(_words, dialogue.turns))
    measures = {
        "turns": float(len(dialogue.turns)),
        "agent_turns": float(len(agent)),
        "caller_turns": float(len(caller)),
        "words": float(words),
        "agent_word_share": _share(sum(map(_words, agent)), words),
        "questions_by_agent": float(sum(map(_questions, agent))),
    }
    timed = _timed(dialogue)
    return measures | _timed_metrics(dialogue, timed) if timed else measures


def call_measures(
    metrics: Mapping[str, float],
    recording: Recording,
    *,
    contacts: Contacts | None = None,
    call_type: CallType | None = None,
) -> tuple[Measure, ...]:
    """All measures of a call in the order of ``METRICS``, each with what it rests on.

    ``metrics`` are those of ``call_metrics``, ``recording`` holds what its call record told,
    ``contacts`` the caller's other calls where they were looked up; ``call_type`` is the call's
    primary type, ``None`` where unsure. What nothing is known of is left out, but for first-contact
    resolution: why it cannot be told is in its basis.
    """
    found: dict[str, tuple[float | bool | None, str]] = {
        name: (value, "heard") for name, value in metrics.items() if name in METRICS
    }
    found |= _handling(metrics, recording)
    for name, said in (("transferred", recording.transferred), ("resolved", recording.resolved)):
        if said is not None:
            found[name] = (said, "call_record")
    if contacts is not None:
        found["first_contact_resolved"] = (contacts.is_resolved, contacts.basis)
        if contacts.earlier_types is not None:
            found["earlier_calls"] = (float(len(contacts.earlier_types)), "other_calls")
            if call_type is not None:
                same = contacts.earlier_types.count(call_type)
                found["earlier_calls_of_type"] = (float(same), "other_calls")
        if contacts.since_last_s is not None:
            found["since_earlier_call_s"] = (contacts.since_last_s, "other_calls")
    return tuple(
        Measure(metric=metric, value=found[name][0], basis=found[name][1])
        for name, metric in METRICS.items()
        if name in found
    )


def _handling(
    metrics: Mapping[str, float], recording: Recording
) -> dict[str, tuple[float | bool | None, str]]:
    """Talk, hold, after-call work and their sum, from call records before what was heard."""
    found: dict[str, tuple[float | bool | None, str]] = {}
    hold_s, after_call_s = recording.hold_s, recording.after_call_s
    heard_hold_s = metrics.get("hold_estimated_s")
    if hold_s is not None:
        found["hold_s"] = (hold_s, "call_record")
    elif heard_hold_s is not None:
        hold_s = heard_hold_s
        found["hold_s"] = (hold_s, "estimated")
    if after_call_s is not None:
        found["after_call_s"] = (after_call_s, "call_record")
    if "talk_span_s" in metrics and hold_s is not None:
        # Holds are taken out as they were heard, whatever the record says of their length: some
        # recorders stop meanwhile.
        talk_s = metrics["talk_span_s"] - metrics.get("queue_s", 0.0) - (heard_hold_s or 0.0)
        found["talk_time_s"] = (max(0.0, talk_s), "heard")
        basis = [
            *["estimated"] * (recording.hold_s is None),
            *["without_after_call"] * (after_call_s is None),
        ]
        found["handle_time_s"] = (
            max(0.0, talk_s) + hold_s + (after_call_s or 0.0),
            "_".join(basis) or "call_record",
        )
    return found


# --- who broke in --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """One side's turn that began in the other's and outlasted it.

    ``by`` is the role that broke in, in turn ``evidence``, on turn ``broken``, at ``at_s``;
    ``overlap_s`` is how long both spoke.
    """

    by: Role
    evidence: Evidence
    broken: Evidence
    at_s: float
    overlap_s: float


def find_interruptions(dialogue: RedactedDialogue) -> tuple[Interruption, ...]:
    """Who broke in on whom, agent on caller or caller on agent, in the order of time.

    Shorter overlaps than 0.3 s are ordinary changes of turn, and words that do not outlast the
    other's turn ("mm-hm") take it from nobody. Doubtful turns are left out.
    """
    found = []
    open_turns: list[_Timed] = []
    for one in _by_start(_timed(dialogue)):
        if one.turn.is_doubtful or not one.turn.text.strip():
            continue
        open_turns = [other for other in open_turns if other.end_s > one.start_s]
        broken = [
            other
            for other in open_turns
            if _is_other_side(one.turn.role, other.turn.role)
            and other.start_s < one.start_s < other.end_s - _BREAK_IN_S
            and one.end_s > other.end_s
        ]
        if broken:
            longest = max(broken, key=lambda other: other.end_s)
            found.append(
                Interruption(
                    by=one.turn.role,
                    evidence=_whole(one.turn),
                    broken=_whole(longest.turn),
                    at_s=one.start_s,
                    overlap_s=longest.end_s - one.start_s,
                )
            )
        open_turns.append(one)
    return tuple(found)


def broken_in(dialogue: RedactedDialogue) -> tuple[Evidence, ...]:
    """The agent's turns that broke in on the caller, in the order of time."""
    return tuple(one.evidence for one in find_interruptions(dialogue) if one.by in AGENT_ROLES)


def interruptions(dialogue: RedactedDialogue) -> int | None:
    """How often the agent began while the caller spoke and went on after.

    ``None`` where turns have no times.
    """
    return len(broken_in(dialogue)) if _timed(dialogue) else None


def _is_other_side(role: Role, other: Role) -> bool:
    return (role in AGENT_ROLES and other in CALLER_ROLES) or (
        role in CALLER_ROLES and other in AGENT_ROLES
    )


# --- silences ------------------------------------------------------------------------------------


class SilenceKind(StrEnum):
    """Why nobody speaks."""

    HOLD = "hold"
    """The agent announced it, and it is long; or the agent gives thanks for waiting after it."""
    ANNOUNCED = "announced"
    """The agent announced it (bear with me, one moment) and keeps the line open."""
    CALLERS = "callers"
    """The caller asked for it, or is to answer."""
    QUEUE = "queue"
    """It lies before the agent's first words."""
    DEAD_AIR = "dead_air"
    """None of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A stretch of the call in which nobody speaks; ``evidence`` is the turn that ended before."""

    kind: SilenceKind
    start_s: float
    end_s: float
    evidence: Evidence | None

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


def find_silences(
    dialogue: RedactedDialogue, *, at_least_s: float = _LONG_SILENCE_S
) -> tuple[Silence, ...]:
    """The silences of ``at_least_s`` and more, in the order of time, and why nobody speaks.

    Music is silence where the recogniser hears no words in it; in what the agent announced or gives
    thanks for, so are doubtful words and those of a system.
    """
    timed = _timed(dialogue)
    people = [one for one in timed if not one.turn.is_doubtful and one.turn.role is not Role.SYSTEM]
    found = [
        silence
        for silence in _silences(people, people, at_least_s)
        if silence.kind in (SilenceKind.HOLD, SilenceKind.ANNOUNCED)
    ]
    announced = tuple(found)
    found += [
        silence
        for silence in _silences(timed, people, at_least_s)
        if not any(one.start_s < silence.end_s and silence.start_s < one.end_s for one in announced)
    ]
    return tuple(sorted(found, key=lambda silence: silence.start_s))


def dead_air(dialogue: RedactedDialogue) -> tuple[Evidence, ...]:
    """The turn before each silence of 10 s and more that nobody can account for."""
    return tuple(
        silence.evidence
        for silence in find_silences(dialogue)
        if silence.kind is SilenceKind.DEAD_AIR and silence.evidence is not None
    )


def _silences(
    heard: Sequence[_Timed], people: Sequence[_Timed], at_least_s: float
) -> Iterator[Silence]:
    by_end = sorted(people, key=lambda one: (one.end_s, one.start_s, one.turn.index))
    by_start = _by_start(people)
    for gap in _gaps(heard):
        if gap.end_s - gap.start_s < at_least_s:
            continue
        before = [one for one in by_end if one.end_s <= gap.start_s]
        after = next((one for one in by_start if one.start_s >= gap.end_s), None)
        yield Silence(
            kind=_kind(gap, before, after, people),
            start_s=gap.start_s,
            end_s=gap.end_s,
            evidence=_whole(before[-1].turn) if before else None,
        )


def _kind(
    gap: _Gap, before: Sequence[_Timed], after: _Timed | None, people: Sequence[_Timed]
) -> SilenceKind:
    is_long = gap.end_s - gap.start_s >= _HOLD_S
    agents = [one for one in people if one.turn.role in AGENT_ROLES]
    if agents and all(one.end_s > gap.start_s for one in agents):
        return SilenceKind.QUEUE
    if after is not None and after.turn.role in AGENT_ROLES:
        opening = " ".join(_plain(after.turn.text).split()[:_ANNOUNCING_WORDS])
        if _BACK_WORDS.search(opening):
            return SilenceKind.HOLD
    for one in reversed(before[-_ANNOUNCING_TURNS:]):
        if gap.start_s - one.end_s > _ANNOUNCED_WITHIN_S:
            break
        closing = _closing(one.turn.text)
        is_hold = _HOLD_WORDS.search(closing) is not None
        if is_hold or _WAIT_WORDS.search(closing):
            if one.turn.role in CALLER_ROLES:
                return SilenceKind.CALLERS
            return SilenceKind.HOLD if is_hold or is_long else SilenceKind.ANNOUNCED
    if before and before[-1].turn.role in AGENT_ROLES and _asks(before[-1].turn):
        return SilenceKind.CALLERS
    return SilenceKind.DEAD_AIR


def _closing(text: str) -> str:
    """The words that a turn ends with; where it asks, those of the question, which one answers."""
    if text.rstrip().endswith("?"):
        text = re.split(r"[.!?]\s", text.rstrip())[-1]
    return _last_words(text)


def _last_words(text: str) -> str:
    return " ".join(_plain(text).split()[-_ANNOUNCING_WORDS:])


def _asks(turn: RedactedTurn) -> bool:
    """Whether the turn ends with a question."""
    if _PUNCTUATION.search(turn.text):
        return turn.text.rstrip().endswith("?")
    return _ASKING_WORDS.search(_last_words(turn.text)) is not None


def _questions(turn: RedactedTurn) -> int:
    if _PUNCTUATION.search(turn.text):
        return turn.text.count("?")
    return len(_ASKING_WORDS.findall(_plain(turn.text)))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z<>]+", " ", text.lower())


# --- times ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Timed:
    """A turn with possible times."""

    turn: RedactedTurn
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class _Gap:
    """Time between turns; ``after`` is the turn that ends it."""

    start_s: float
    end_s: float
    after: _Timed


def _timed(dialogue: RedactedDialogue) -> list[_Timed]:
    return [
        _Timed(turn, turn.start_s, max(turn.start_s, turn.end_s))
        for turn in dialogue.turns
        if turn.start_s is not None
        and turn.end_s is not None
        and math.isfinite(turn.start_s)
        and math.isfinite(turn.end_s)
    ]


def _by_start(timed: Iterable[_Timed]) -> list[_Timed]:
    return sorted(timed, key=lambda one: (one.start_s, one.end_s, one.turn.index))


def _gaps(timed: Sequence[_Timed]) -> list[_Gap]:
    gaps = []
    reached = math.inf
    for one in _by_start(timed):
        if one.start_s > reached:
            gaps.append(_Gap(reached, one.start_s, one))
        reached = one.end_s if reached is math.inf else max(reached, one.end_s)
    return gaps


def _timed_metrics(dialogue: RedactedDialogue, timed: Sequence[_Timed]) -> dict[str, float]:
    first_s = min(one.start_s for one in timed)
    span_s = max(one.end_s for one in timed) - first_s
    gaps = _gaps(timed)
    silent_s = [gap.end_s - gap.start_s for gap in gaps]
    talk_s = max(0.0, span_s - sum(silent_s))
    agent, caller = _of(timed, AGENT_ROLES), _of(timed, CALLER_ROLES)
    agent_s, caller_s, all_s = _total(agent), _total(caller), _total(timed)
    silences = find_silences(dialogue)
    lasting = {kind: [s.duration_s for s in silences if s.kind is kind] for kind in SilenceKind}
    overlaps = find_interruptions(dialogue)
    by_agent = [one.overlap_s for one in overlaps if one.by in AGENT_ROLES]
    by_caller = [one.overlap_s for one in overlaps if one.by in CALLER_ROLES]
    measures = {
        "talk_span_s": span_s,
        "talk_s": talk_s,
        "queue_s": min((one.start_s for one in agent), default=first_s) - first_s,
        "agent_talk_s": agent_s,
        "caller_talk_s": caller_s,
        "other_talk_s": max(0.0, all_s - agent_s - caller_s),
        "agent_talk_share": _share(agent_s, agent_s + caller_s),
        "caller_talk_share": _share(caller_s, agent_s + caller_s),
        "silence_share": _share(sum(silent_s), span_s),
        "agent_silence_share": _share(_ended_by(gaps, AGENT_ROLES), span_s),
        "caller_silence_share": _share(_ended_by(gaps, CALLER_ROLES), span_s),
        "longest_silence_s": max(silent_s, default=0.0),
        "long_silences": float(sum(length >= _LONG_SILENCE_S for length in silent_s)),
        "dead_airs": float(len(lasting[SilenceKind.DEAD_AIR])),
        "dead_air_s": sum(lasting[SilenceKind.DEAD_AIR]),
        "announced_silences": float(len(lasting[SilenceKind.ANNOUNCED])),
        "holds_estimated": float(len(lasting[SilenceKind.HOLD])),
        "hold_estimated_s": sum(lasting[SilenceKind.HOLD]),
        "overlap_s": _overlap(timed),
        "agent_interruptions": float(len(by_agent)),
        "caller_interruptions": float(len(by_caller)),
        "agent_interruption_overlap_s": sum(by_agent),
        "caller_interruption_overlap_s": sum(by_caller),
        "agent_longest_monologue_s": _longest_monologue(timed, AGENT_ROLES),
        "caller_longest_monologue_s": _longest_monologue(timed, CALLER_ROLES),
    }
    for name, turns, seconds in (("agent", agent, agent_s), ("caller", caller, caller_s)):
        if seconds:
            words = sum(_words(one.turn) for one in turns)
            measures[f"{name}_words_per_min"] = words / seconds * 60
    latencies = _latencies(timed, silences)
    if latencies:
        measures["agent_response_latency_s"] = median(latencies)
    return measures


def _latencies(timed: Sequence[_Timed], silences: Sequence[Silence]) -> list[float]:
    """How long after each caller's turn the agent's next began, where not told to wait."""
    excused = [
        silence for silence in silences if silence.kind in (SilenceKind.HOLD, SilenceKind.ANNOUNCED)
    ]
    latencies = []
    ordered = _by_start(timed)
    for before, one in pairwise(ordered):
        is_answer = before.turn.role in CALLER_ROLES and one.turn.role in AGENT_ROLES
        if is_answer and not any(
            before.end_s <= silence.start_s and silence.end_s <= one.start_s for silence in excused
        ):
            latencies.append(max(0.0, one.start_s - before.end_s))
    return latencies


def _longest_monologue(timed: Sequence[_Timed], roles: Collection[Role]) -> float:
    longest = 0.0
    began = reached = -math.inf
    for one in _by_start(timed):
        if one.turn.role in roles:
            if one.start_s - reached >= _LONG_SILENCE_S:
                began = one.start_s
            reached = max(reached, one.end_s)
            longest = max(longest, reached - began)
        # What others say while the turn goes on does not end it; what goes on after it does.
        elif one.end_s >= reached and not _is_backchannel(one):
            reached = -math.inf
    return longest


def _is_backchannel(one: _Timed) -> bool:
    return _words(one.turn) <= _BACKCHANNEL_WORDS and one.duration_s <= _BACKCHANNEL_S


def _overlap(timed: Sequence[_Timed]) -> float:
    overlap = 0.0
    reached = -math.inf
    for one in _by_start(timed):
        overlap += max(0.0, min(one.end_s, reached) - one.start_s)
        reached = max(reached, one.end_s)
    return overlap


def _ended_by(gaps: Sequence[_Gap], roles: Collection[Role]) -> float:
    return sum(gap.end_s - gap.start_s for gap in gaps if gap.after.turn.role in roles)


def _of(timed: Sequence[_Timed], roles: Collection[Role]) -> list[_Timed]:
    return [one for one in timed if one.turn.role in roles]


def _total(timed: Sequence[_Timed]) -> float:
    return sum(one.duration_s for one in timed)


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0


def _words(turn: RedactedTurn) -> int:
    return len(turn.text.split())


def _whole(turn: RedactedTurn) -> Evidence:
    start = len(turn.text) - len(turn.text.lstrip())
    return Evidence(turn_index=turn.index, start=start, end=max(start, len(turn.text.rstrip())))
