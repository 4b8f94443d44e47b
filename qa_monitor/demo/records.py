"""Invented weeks of an invented centre: who took which of the calls that ship, when, and for whom.

``make_records`` deals the calls over days and hours as centres have them, gives each to an agent
whose skill at that time fits it, and lets callers phone again. The same seed gives the same weeks.
Scores are the product's own, of the findings that ship and the times that are made here.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from qa_monitor.calls import (
    CallRecord,
    CallType,
    Criterion,
    Direction,
    FailedCall,
    Finding,
    Recording,
    RedactedDialogue,
    RedactedTurn,
    RedactedWord,
    Role,
)
from qa_monitor.demo.shipped import DemoCall, shipped_calls
from qa_monitor.scoring import call_metrics
from qa_monitor.scoring.labels import CALL_TYPE, ESCALATION_ACTION, RED_FLAG, URGENCY_CUE
from qa_monitor.scoring.rubric import Rubric
from qa_monitor.scoring.scorecard import make_scorecard
from qa_monitor.store import Agent

__all__ = [
    "DEMO_SOURCE",
    "DEMO_WARNING",
    "MadeCall",
    "make_agents",
    "make_failures",
    "make_records",
]

DEMO_SOURCE = "demo"
"""The source of every invented call; no recording's own, as long as nobody names theirs so."""

DEMO_WARNING = "demo_data"
"""The warning of every invented call's record."""

_URGENT_SHARE = 0.26
_WITH_WORDS = 2000
"""Up to how many calls words have times; a hundred thousand would be gigabytes of them."""

_TEAMS = ("north", "south", "west")
_NAMES = (
    "Agnes Vantongeren|Amos Okpara|Briony Castellane|Caleb Nakagawa|Delphine Ruus|Emeka Thorvald|"
    "Farrah Lindqvist|Gideon Marchetti|Hanneke Oyelaran|Ines Balcazar|Jonah Petrossian|"
    "Kezia Wetherill|Leopold Adeyinka|Marisol Fennimore|Niamh Karagoz|Otis Villalonga|"
    "Petra Shimizu|Quentin Abara|Rosalind Ekholm|Silas Montclair|Thea Barzani|Umberto Graves|"
    "Verity Nwosu|Wendell Sorensen"
).split("|")

# Skill in points, 1 to 5, in the middle of the weeks, and how much it changes on either side.
_SKILLS = (
    (4.6, 0.0),
    (2.9, 1.6),
    (3.6, 0.0),
    (1.9, 0.0),
    (3.6, -1.4),
    (4.1, 0.3),
    (3.0, 0.0),
    (4.4, -0.2),
    (2.4, 0.7),
    (3.4, -0.5),
    (4.0, 0.0),
    (2.6, 0.0),
)
_SKILL_SPREAD = 0.6

_OFFICE_HOURS = {8: 6, 9: 12, 10: 14, 11: 12, 12: 7, 13: 10, 14: 12, 15: 10, 16: 8, 17: 5}
_OFFICE_DAYS = (13, 11, 10, 10, 9, 2, 0)
_NIGHT_HOURS = {18: 6, 19: 6, 20: 5, 21: 4, 22: 3, 23: 2, 0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2}
_AT_ANY_TIME = {CallType.EMERGENCY: 0.3, CallType.SYMPTOMS: 0.15}
"""Which share of calls of a type comes outside office hours, though they are not of that kind."""

_QUEUES = {
    CallType.APPOINTMENT: "scheduling",
    CallType.INSURANCE: "billing",
    CallType.BILLING: "billing",
    CallType.PRESCRIPTION: "pharmacy-line",
    CallType.LAB_RESULTS: "nurse-line",
    CallType.SYMPTOMS: "nurse-line",
    CallType.EMERGENCY: "nurse-line",
    CallType.AFTER_HOURS: "on-call",
    CallType.MEDICAL_RECORDS: "records",
    CallType.REFERRAL: "records",
    CallType.POST_DISCHARGE: "outreach",
    CallType.OUTREACH: "outreach",
    CallType.GENERAL: "front-desk",
}

_WORD = re.compile(r"\S+")
_WAITING = re.compile(
    r"\b(?:on hold|please hold|hold (?:on|the line)|hang on|bear with me|one moment|"
    r"(?:one|a|just a) (?:second|sec|minute|moment)|let me (?:just )?(?:check|look|pull|see))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """An invented call as it is kept, when it was scored, and the shipped call it is made of."""

    record: CallRecord
    scored_at: datetime
    written: DemoCall


def make_agents(count: int) -> tuple[Agent, ...]:
    """``agent-01`` and so on, in three teams; names repeat, numbered, when there are many."""
    agents = []
    for number in range(count):
        again = number // len(_NAMES)
        name = _NAMES[number % len(_NAMES)] + (f" {again + 1}" if again else "")
        team = _TEAMS[number % len(_TEAMS)]
        agents.append(Agent(agent_id=f"agent-{number + 1:02d}", name=name, team=team))
    return tuple(agents)


def make_records(
    *,
    calls: int,
    agents: Sequence[Agent],
    days: int,
    seed: int,
    until: date,
    zone: ZoneInfo,
    rubric_of: Callable[[str | None], Rubric],
) -> Iterator[MadeCall]:
    """``calls`` invented calls of the ``days`` before ``until``, oldest first.

    Hours are those of ``zone``; ``rubric_of`` gives the rubric of a queue. Some calls abstain for
    what is wrong with them: unsure roles, words that were hard to make out, speech that was lost.
    """
    rng = random.Random(f"calls {seed}")
    cells = _Cells(until - timedelta(days=days), days, zone)
    dealt = _deal(shipped_calls(), calls, rng)
    planned = sorted((cells.draw(written, rng), index) for index, written in dealt)
    workers, callers = _Agents(agents, rng), _Callers(seed, rng)
    cards = _Cards(seed, has_words=calls <= _WITH_WORDS)
    for number, (started_at, index) in enumerate(planned, start=1):
        written = shipped_calls()[index]
        progress = (started_at.date() - (until - timedelta(days=days))).days / days
        agent_id = workers.of(written, progress)
        queue = _QUEUES[written.call_type]
        key, earlier_types = callers.of(written, started_at)
        scored = cards.of(
            index,
            _fault(rng),
            rubric_of(queue),
            called_before=written.call_type in earlier_types,
        )
        call_id = f"{DEMO_SOURCE}-{number:06d}"
        recording = replace(
            scored.recording,
            call_id=call_id,
            sha256=hashlib.sha256(f"demo {seed} {number}".encode()).hexdigest(),
            agent_id=agent_id,
            queue=queue,
            started_at=started_at,
            caller_key=key,
        )
        record = replace(
            scored,
            recording=_with_call_record(recording, scored, rng),
            dialogue=replace(scored.dialogue, call_id=call_id),
            scorecard=replace(scored.scorecard, call_id=call_id),
        )
        waited_s = record.recording.duration_s + rng.uniform(60, 1800)
        yield MadeCall(
            record=record, scored_at=started_at + timedelta(seconds=waited_s), written=written
        )


def make_failures(count: int, *, seed: int) -> tuple[FailedCall, ...]:
    """``count`` invented calls that could not be scored."""
    rng = random.Random(f"failures {seed}")
    kinds = (
        ("decoding", "NotAudioError", "this is not a recording. Look at the file."),
        ("speakers", "NoSpeechError", "no speech was recognised. Check the recorder."),
        ("transcription", "TranscriptionError", "the recogniser failed. Run the command again."),
    )
    return tuple(
        FailedCall(
            call_id=call_id,
            source=DEMO_SOURCE,
            sha256=hashlib.sha256(f"demo {seed} {call_id}".encode()).hexdigest(),
            stage=stage,
            error=error,
            message=f"call {call_id}: {message}",
        )
        for call_id, (stage, error, message) in (
            (f"{DEMO_SOURCE}-failed-{number}", rng.choice(kinds)) for number in range(1, count + 1)
        )
    )


# --- which calls, and when -----------------------------------------------------------------------


def _deal(
    written: Sequence[DemoCall], count: int, rng: random.Random
) -> Iterator[tuple[int, DemoCall]]:
    """``count`` of the calls with their places; none again before all of its kind had their turn.

    The calls that ship are rich in urgent ones; a centre has few.
    """
    kinds: tuple[list[int], list[int]] = ([], [])
    for index, call in enumerate(written):
        kinds[call.points.get(Criterion.URGENCY, 0.0) >= 1].append(index)
    urgent = round(_URGENT_SHARE * count)
    for kind, wanted in zip(kinds, (count - urgent, urgent), strict=True):
        for index in itertools.islice(_shuffled(kind, rng), wanted):
            yield index, written[index]


def _shuffled(items: Sequence[int], rng: random.Random) -> Iterator[int]:
    while True:
        yield from rng.sample(items, len(items))


class _Cells:
    """The hours of the weeks, and how likely a call begins in each."""

    def __init__(self, first: date, days: int, zone: ZoneInfo) -> None:
        self._zone = zone
        every = [first + timedelta(days=day) for day in range(days)]
        self._office = self._weighed(every, _OFFICE_HOURS, _OFFICE_DAYS)
        self._night = self._weighed(every, _NIGHT_HOURS, (1,) * 7)
        weekend = self._weighed(every, dict.fromkeys(range(9, 18), 4), (0, 0, 0, 0, 0, 1, 1))
        self._night = (self._night[0] + weekend[0], self._night[1] + weekend[1])

    @staticmethod
    def _weighed(
        days: Sequence[date], hours: dict[int, int], weekdays: Sequence[int]
    ) -> tuple[list[tuple[date, int]], list[float]]:
        cells = [(day, hour) for day in days for hour in hours]
        return cells, [float(hours[hour] * weekdays[day.weekday()]) for day, hour in cells]

    def draw(self, written: DemoCall, rng: random.Random) -> datetime:
        """When the call begins."""
        is_out_of_hours = written.after_hours or written.call_type is CallType.AFTER_HOURS
        if rng.random() < _AT_ANY_TIME.get(written.call_type, 0.0):
            is_out_of_hours = True
        cells, weights = self._night if is_out_of_hours else self._office
        if not any(weights):
            cells, weights = self._night
        day, hour = rng.choices(cells, weights)[0]
        local = datetime.combine(day, time(hour), self._zone)
        return local.astimezone(UTC) + timedelta(seconds=rng.randrange(3600))


class _Agents:
    """Who takes a call: the likelier, the nearer the agent's skill is to how the call went."""

    def __init__(self, agents: Sequence[Agent], rng: random.Random) -> None:
        self._ids = [agent.agent_id for agent in agents]
        self._taken = [0] * len(agents)
        self._rng = rng

    def of(self, written: DemoCall, progress: float) -> str:
        """The agent's id; ``progress`` through the weeks is 0 to 1."""
        marks = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
        given = [written.points[mark] for mark in marks if mark in written.points]
        quality = sum(given) / len(given) if given else 3.0
        mean = max(1.0, sum(self._taken) / len(self._taken))
        weights = []
        for number, taken in enumerate(self._taken):
            middle, change = _SKILLS[number % len(_SKILLS)]
            skill = middle + change * (2 * progress - 1)
            distance = (quality - skill) / _SKILL_SPREAD
            weights.append(math.exp(-(distance**2) / 2 - 1.5 * taken / mean))
        number = self._rng.choices(range(len(weights)), weights)[0]
        self._taken[number] += 1
        return self._ids[number]


class _Callers:
    """Who calls: mostly somebody new, sometimes one of the days before, about the same if may be.

    The centre calls back some of those to whom it was promised.
    """

    def __init__(self, seed: int, rng: random.Random) -> None:
        self._seed, self._rng = seed, rng
        self._count = 0
        self._recent: list[tuple[datetime, str, CallType, bool]] = []

    def of(
        self, written: DemoCall, started_at: datetime
    ) -> tuple[str | None, tuple[CallType, ...]]:
        """The caller's key, if it is known, and what the caller called about in the week before."""
        week = timedelta(days=7)
        self._recent = [one for one in self._recent if started_at - one[0] < week]
        is_outbound = written.direction is Direction.OUTBOUND
        if not is_outbound and self._rng.random() < 0.04:
            return None, ()
        key = self._known(written, started_at, is_outbound=is_outbound)
        if key is None:
            self._count += 1
            key = hashlib.sha256(f"caller {self._seed} {self._count}".encode()).hexdigest()
        earlier = tuple(call_type for _, other, call_type, _ in self._recent if other == key)
        if is_outbound:
            return key, ()
        is_promised = any(
            finding.task == ESCALATION_ACTION and finding.label == "timed_callback"
            for finding in written.findings
        )
        self._recent.append((started_at, key, written.call_type, is_promised))
        return key, earlier

    def _known(self, written: DemoCall, started_at: datetime, *, is_outbound: bool) -> str | None:
        if self._rng.random() >= (0.7 if is_outbound else 0.16):
            return None
        at_least = timedelta(minutes=20)
        before = [one for one in self._recent if started_at - one[0] > at_least]
        if is_outbound:
            chosen = [one for one in before if one[3]]
        else:
            chosen = [one for one in before if one[2] is written.call_type] or before
        return self._rng.choice(chosen)[1] if chosen else None


def _with_call_record(recording: Recording, scored: CallRecord, rng: random.Random) -> Recording:
    """``recording`` with what the telephone system would tell of the call."""
    found = {f.label for f in scored.findings if f.task == ESCALATION_ACTION}
    is_told = rng.random() < 0.85
    is_transferred = "transfer_now" in found and rng.random() < 0.8
    is_resolved = rng.choice((True, True, True, False)) if rng.random() < 0.4 else None
    after_call_s = round(min(300.0, rng.lognormvariate(3.9, 0.5)), 1)
    if not is_told:
        return replace(recording, resolved=is_resolved)
    codes = {"timed_callback": "CALLBACK", "message_only": "MESSAGE"}
    code = next((codes[label] for label in codes if label in found), None)
    return replace(
        recording,
        hold_s=round(scored.metrics.get("hold_estimated_s", 0.0), 1),
        after_call_s=after_call_s,
        disposition_code="TRANSFER" if is_transferred else code or "INFO",
        resolved=is_resolved,
        transferred=is_transferred,
    )


# --- scores --------------------------------------------------------------------------------------

_FAULTS = ("roles", "doubtful", "dropped")


def _fault(rng: random.Random) -> str | None:
    """What is wrong with the recording, seldom anything."""
    return rng.choice(_FAULTS) if rng.random() < 0.05 else None


class _Cards:
    """The shipped calls with times and scores, each made once."""

    def __init__(self, seed: int, *, has_words: bool) -> None:
        self._seed, self._has_words = seed, has_words
        self._made: dict[tuple[int, str | None, str, bool], CallRecord] = {}

    def of(
        self, index: int, fault: str | None, rubric: Rubric, *, called_before: bool
    ) -> CallRecord:
        """The record of a shipped call, not yet anybody's."""
        key = (index, fault, rubric.full_version, called_before)
        if key not in self._made:
            self._made[key] = self._make(index, fault, rubric, called_before=called_before)
        return self._made[key]

    def _make(
        self, index: int, fault: str | None, rubric: Rubric, *, called_before: bool
    ) -> CallRecord:
        written = shipped_calls()[index]
        rng = random.Random(f"times {self._seed} {index}")
        dialogue = _with_times(written.dialogue, rng, has_words=self._has_words)
        dialogue, findings = _with_fault(dialogue, written.findings, fault, rng)
        card = make_scorecard(
            dialogue,
            findings,
            rubric,
            earlier_types=(written.call_type,) if called_before else (),
        )
        last_s = max(turn.end_s or 0.0 for turn in dialogue.turns)
        warnings = (DEMO_WARNING, *["much_speech_not_recognised"] * (fault == "dropped"))
        return CallRecord(
            recording=Recording(
                call_id=dialogue.call_id,
                interaction_id=None,
                sha256="",
                source=DEMO_SOURCE,
                agent_id=None,
                queue=None,
                direction=written.direction,
                started_at=None,
                duration_s=round(last_s + rng.uniform(0.5, 3), 2),
                channels=2,
            ),
            dialogue=dialogue,
            findings=findings,
            scorecard=card,
            metrics=call_metrics(dialogue),
            versions={
                "transcription": dialogue.asr_model,
                "redaction": dialogue.redactor_version,
                "scoring": written.scorer_version,
                "rubric": card.rubric_version,
            },
            warnings=warnings,
        )


def _with_times(
    dialogue: RedactedDialogue, rng: random.Random, *, has_words: bool
) -> RedactedDialogue:
    """``dialogue`` as if spoken: words at a speaker's pace, pauses, holds, overlaps."""
    pace = {Role.AGENT: rng.uniform(0.85, 1.15), Role.CALLER: rng.uniform(0.85, 1.2)}
    turns: list[RedactedTurn] = []
    at_s = rng.uniform(0.3, 1.5)
    for turn in dialogue.turns:
        timed = _timed_turn(turn, at_s, pace.get(turn.role, 1.0), rng, has_words=has_words)
        turns.append(timed)
        end_s = timed.end_s or at_s
        if turn.role is Role.AGENT and _WAITING.search(turn.text) and rng.random() < 0.35:
            pause_s = rng.uniform(12, 75)
        elif rng.random() < 0.004:
            pause_s = rng.uniform(11, 18)
        elif rng.random() < 0.05:
            pause_s = -min(rng.uniform(0.2, 1.2), 0.5 * (end_s - at_s))
        else:
            pause_s = min(3.0, rng.lognormvariate(-0.8, 0.6))
        at_s = end_s + pause_s
    return replace(dialogue, asr_model=DEMO_SOURCE, turns=tuple(turns))


def _timed_turn(
    turn: RedactedTurn, at_s: float, pace: float, rng: random.Random, *, has_words: bool
) -> RedactedTurn:
    removed = {span.start: span.source_end - span.source_start for span in turn.spans}
    words: list[RedactedWord] = []
    for match in _WORD.finditer(turn.text):
        start, end = match.span()
        letters = next((removed[place] for place in range(start, end) if place in removed), None)
        length_s = pace * (0.07 + 0.055 * (end - start if letters is None else letters))
        words.append(
            RedactedWord(
                start=start,
                end=end,
                start_s=round(at_s, 2),
                end_s=round(at_s + length_s, 2),
                confidence=round(min(0.99, rng.betavariate(14, 1.6)), 2),
            )
        )
        at_s += length_s
        if turn.text[end - 1] in ".?!,":
            at_s += rng.uniform(0.1, 0.35)
    spans = []
    for span in turn.spans:
        inside = [word for word in words if word.start < span.end and word.end > span.start]
        spans.append(replace(span, start_s=inside[0].start_s, end_s=inside[-1].end_s))
    return replace(
        turn,
        speaker=f"channel-{0 if turn.role is Role.AGENT else 1}",
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        words=tuple(words) if has_words else (),
        spans=tuple(spans),
    )


def _with_fault(
    dialogue: RedactedDialogue,
    findings: tuple[Finding, ...],
    fault: str | None,
    rng: random.Random,
) -> tuple[RedactedDialogue, tuple[Finding, ...]]:
    """Dialogue and findings as they are where something is wrong with the recording."""
    turns = dialogue.turns
    if fault == "roles":
        turns = tuple(replace(turn, role_confidence=0.42) for turn in turns)
        # Of speakers whose role is unsure only urgency is looked for.
        kept = tuple(f for f in findings if f.task in (RED_FLAG, URGENCY_CUE, CALL_TYPE))
        return replace(dialogue, turns=turns), kept
    if fault == "doubtful":
        turns = tuple(replace(turn, is_doubtful=rng.random() < 0.5) for turn in turns)
        kept = tuple(
            f
            for f in findings
            if f.evidence is None or not turns[f.evidence.turn_index].is_doubtful
        )
        return replace(dialogue, turns=turns), kept
    if fault == "dropped":
        spoken_s = sum((turn.end_s or 0.0) - (turn.start_s or 0.0) for turn in turns)
        return replace(dialogue, dropped_s=round(spoken_s, 1)), findings
    return dialogue, findings
