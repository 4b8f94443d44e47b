"""What the page of one call shows, worked out of record and judgements; no web in here.

The transcript comes as pieces, so that what was said is only ever text to the template: each piece
is a stretch of one turn with what is to be marked of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from qa_monitor.calls import (
    CallRecord,
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    EntityType,
    EscalationOutcome,
    Evidence,
    Measure,
    RedactedTurn,
    Role,
    Score,
    ScoreStatus,
)
from qa_monitor.reports.wording import (
    CRITERIA_NAMES,
    NOT_ASSESSED,
    OUTCOMES,
    REDACTED,
    ROLES,
    URGENCIES,
    call_type,
    duration,
)
from qa_monitor.store import Comment, Judgement
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME, checklist_subject, scale_of

__all__ = [
    "LAYERS",
    "BlindField",
    "Lane",
    "Layer",
    "Piece",
    "Place",
    "RedFlag",
    "ShownEffect",
    "ShownTurn",
    "Subject",
    "answered",
    "blind_fields",
    "checklist_of",
    "facts_of",
    "lanes_of",
    "main_measures",
    "measured",
    "metric_name",
    "red_flags_of",
    "said",
    "scores_of",
    "turns_of",
    "warning",
]

_PLACEHOLDER = re.compile(r"<([A-Z_]+)_\d+>")
_STAFF = frozenset({Role.AGENT, Role.OTHER_STAFF})
_ROLE_CERTAIN_FROM = 0.7
_TELLING_POINTS = 0.1
_MAIN_MEASURES = (
    "handle_time_s",
    "talk_time_s",
    "hold_s",
    "agent_talk_share",
    "silence_share",
    "agent_response_latency_s",
    "agent_interruptions",
    "first_contact_resolved",
    "earlier_calls",
)
_WARNINGS = {
    "demo_data": "An invented call to try things with: nobody in it exists. Its sound, if it has "
    "any, is a hum in place of talk.",
    "demonstration_model": "Written down by the demonstration recogniser, which mishears many "
    "words: no basis for judging anybody.",
    "much_speech_not_recognised": "A good part of the talk could not be written down. What was "
    "said there is in the recording only.",
    "roles_uncertain": "It is unsure who is the agent. If agent and caller stand the wrong way "
    "round, swap the roles.",
    "roles_swapped": "A person has swapped agent and caller; the call was scored anew with that.",
}
_FEATURES = {
    "acknowledged": "acknowledged what the caller felt",
    "against": "signs of not listening",
    "answer_few_at_most": "few of the moments were answered",
    "answer_none_at_most": "no moment was answered",
    "answered": "answered what the caller felt",
    "anything_else": "asked for anything else",
    "asks_again": "asked again what was said",
    "attentive": "built on what was said",
    "best": "the warmest answer",
    "breadth": "several kinds of listening",
    "check": "checked that it was understood",
    "clarify": "clarifying questions",
    "commitment": "had the caller agree",
    "confirmed": "went into what was felt",
    "cue1": "something that cannot wait",
    "cue2": "something urgent",
    "cue3": "signs of an emergency",
    "cues": "several urgent things",
    "cues3": "several signs of an emergency",
    "dead_air": "silence without a word",
    "dismissed": "brushed a feeling aside",
    "flag": "a red flag, as the model reads it",
    "flags": "several red flags",
    "heard": "answered what the caller felt",
    "ignores": "passed over a detail",
    "interruption_points": "broke in on the caller",
    "interrupts": "broke in on the caller",
    "location": "asked where the patient is",
    "minimises": "played it down",
    "one_sided": "one side did the talking",
    "open": "open questions",
    "partial": "a lesser step",
    "passed_over": "met a feeling with nothing",
    "prompt": "acted at once",
    "questions": "asked about warning signs",
    "read_back": "read details back",
    "reflect": "said back what was meant",
    "repeated": "did so more than once",
    "right": "took the right action",
    "rule2": "urgent words of the red-flag list",
    "rule3": "emergency words of the red-flag list",
    "rules": "several turns with red-flag words",
    "safety": "said what to do until there is help",
    "stays": "stayed on the line",
    "twice2": "said so twice",
    "twice3": "said so twice",
    "unheeded": "did not act on it at first",
}
_RED_FLAG = "red_flag"
_FLAG_SURE = 0.5


@dataclass(frozen=True, slots=True)
class Layer:
    """How the evidence of one criterion is marked: its letter, its short name."""

    code: str
    letter: str
    name: str


LAYERS: Mapping[str, Layer] = {
    Criterion.EMPATHY.value: Layer("empathy", "E", "Empathy"),
    Criterion.ACTIVE_LISTENING.value: Layer("active_listening", "L", "Listening"),
    Criterion.URGENCY.value: Layer("urgency", "U", "Urgency"),
    Criterion.ESCALATION.value: Layer("escalation", "H", "Handling"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A stretch of the transcript that something rests on.

    ``key`` is one on its page ("empathy-1"), ``tab`` what stands in front of it ("E1"; of no
    criterion: empty). ``start_s`` and ``end_s`` are when its words are said.
    """

    key: str
    tab: str
    layer: str
    turn_index: int
    start: int
    end: int
    start_s: float | None
    end_s: float | None
    role: Role
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a turn's text under the same marks.

    ``word`` is the kind of PHI where the text is a placeholder. ``layers`` are the criteria that
    rest on it, ``opens`` the places that begin with it.
    """

    text: str
    word: str | None
    layers: tuple[str, ...]
    opens: tuple[Place, ...]
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTurn:
    """A turn, in pieces, with the comments on it.

    ``layers`` are the criteria that rest on the whole of it, which its pieces do not repeat.
    """

    index: int
    role: Role
    is_staff: bool
    is_role_unsure: bool
    is_doubtful: bool
    start_s: float | None
    end_s: float | None
    layers: tuple[str, ...]
    pieces: tuple[Piece, ...]
    comments: tuple[Comment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEffect:
    """What moved a score by a tenth of a point or more, in words, and where that is."""

    words: str
    points: float
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that the machine says and a person judges.

    ``value`` is what it says, in words, ``status`` what to know of that. ``options`` are what a
    person can say, as code and words; ``None`` as a code is "not assessable". ``own`` is what the
    viewer has said, ``others`` what the rest have, both of this run and in force.
    """

    code: str
    name: str
    value: str
    status: str
    is_decided: bool
    is_criterion: bool
    reason: str
    options: tuple[tuple[str, str], ...]
    own: Judgement | None
    others: tuple[Judgement, ...]
    places: tuple[Place, ...] = ()
    score: Score | None = None
    item: ChecklistItem | None = None
    effects: tuple[ShownEffect, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedFlag:
    """A sign of an emergency that was found in the words."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Lane:
    """A channel of the recording and who is heard on it."""

    channel: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindField:
    """A blank field of a blind review, and what was said of it so far."""

    code: str
    name: str
    options: tuple[tuple[str, str], ...]
    is_needed: bool
    said: Judgement | None


# --- transcript ----------------------------------------------------------------------------------


def turns_of(
    record: CallRecord, run_id: int, places: Iterable[Place], comments: Sequence[Comment]
) -> tuple[ShownTurn, ...]:
    """The transcript with ``places`` marked in it and ``comments`` at their turns."""
    by_turn: dict[int, list[Place]] = {}
    for place in places:
        by_turn.setdefault(place.turn_index, []).append(place)
    said_of: dict[int, list[Comment]] = {}
    for comment in comments:
        index = _turn_of(comment, record.dialogue.turns, run_id)
        if index is not None:
            said_of.setdefault(index, []).append(comment)
    return tuple(
        ShownTurn(
            index=turn.index,
            role=turn.role,
            is_staff=turn.role in _STAFF,
            is_role_unsure=turn.role_confidence < _ROLE_CERTAIN_FROM or turn.role is Role.UNKNOWN,
            is_doubtful=turn.is_doubtful,
            start_s=turn.start_s,
            end_s=turn.end_s,
            layers=_layers(p for p in by_turn.get(turn.index, ()) if _is_whole(p, turn)),
            pieces=_pieces(turn, by_turn.get(turn.index, ())),
            comments=tuple(said_of.get(turn.index, ())),
        )
        for turn in record.dialogue.turns
    )


def _turn_of(comment: Comment, turns: Sequence[RedactedTurn], run_id: int) -> int | None:
    """The turn that a comment is on: the one it names in this run, else the one at its time."""
    if comment.turn_index is not None and comment.run_id == run_id:
        return comment.turn_index if comment.turn_index < len(turns) else None
    if comment.start_s is None:
        return None
    before = [t for t in turns if t.start_s is not None and t.start_s <= comment.start_s]
    return before[-1].index if before else None


def _is_whole(place: Place, turn: RedactedTurn) -> bool:
    return place.start == 0 and place.end == len(turn.text)


def _layers(places: Iterable[Place]) -> tuple[str, ...]:
    """The criteria of ``places``, in their order."""
    found = {place.layer for place in places}
    return tuple(code for code in LAYERS if code in found)


def _pieces(turn: RedactedTurn, places: Sequence[Place]) -> tuple[Piece, ...]:
    text = turn.text
    chips = {
        match.span(): EntityType(match[1])
        for match in _PLACEHOLDER.finditer(text)
        if match[1] in EntityType.__members__
    }
    cuts = {0, len(text)}
    for place in places:
        cuts |= {place.start, place.end}
    cuts = {cut for cut in cuts if not any(start < cut < end for start, end in chips)}
    cuts |= {edge for chip in chips for edge in chip}
    edges = sorted(cuts)
    times = {span.start: (span.start_s, span.end_s) for span in turn.spans}
    pieces = []
    opened: set[str] = set()
    for start, end in pairwise(edges):
        covering = [p for p in places if p.start < end and start < p.end]
        entity = chips.get((start, end))
        opens = tuple(p for p in covering if p.key not in opened)
        opened |= {place.key for place in opens}
        start_s, end_s = times.get(start, (None, None)) if entity is not None else (None, None)
        pieces.append(
            Piece(
                text=text[start:end],
                word=REDACTED[entity] if entity is not None else None,
                layers=_layers(p for p in covering if not _is_whole(p, turn)),
                opens=opens,
                start_s=start_s,
                end_s=end_s,
            )
        )
    return tuple(pieces)


def lanes_of(record: CallRecord) -> tuple[Lane, ...]:
    """The channels of the recording, each with who speaks on it; one is everybody's."""
    if record.recording.channels == 1:
        return (Lane(0, "Everybody"),)
    lanes = []
    for channel in range(record.recording.channels):
        lengths: dict[Role, float] = {}
        for turn in record.dialogue.turns:
            if turn.speaker == f"channel-{channel}":
                lengths[turn.role] = lengths.get(turn.role, 0.0) + len(turn.text)
        role = max(lengths, key=lambda one: lengths[one], default=None)
        lanes.append(Lane(channel, f"Channel {channel + 1}" if role is None else ROLES[role]))
    return tuple(lanes)


# --- places --------------------------------------------------------------------------------------


def _places(
    record: CallRecord, evidence: Iterable[Evidence], *, key: str, layer: str
) -> tuple[Place, ...]:
    """The places of ``evidence`` in the order of the call, each once, numbered from 1."""
    found = sorted(set(evidence), key=lambda e: (e.turn_index, e.start, -e.end))
    letter = LAYERS[layer].letter if layer in LAYERS else ""
    turns = record.dialogue.turns
    inside = [
        one
        for one in found
        if 0 <= one.turn_index < len(turns)
        and 0 <= one.start < one.end <= len(turns[one.turn_index].text)
    ]
    return tuple(
        Place(
            key=f"{key}-{number}",
            tab=f"{letter}{number}" if letter else "",
            layer=layer,
            turn_index=one.turn_index,
            start=one.start,
            end=one.end,
            start_s=_begins(turns[one.turn_index], one.start),
            end_s=_ends(turns[one.turn_index], one.end),
            role=turns[one.turn_index].role,
            quote=turns[one.turn_index].text[one.start : one.end],
        )
        for number, one in enumerate(inside, start=1)
    )


def _begins(turn: RedactedTurn, start: int) -> float | None:
    """When the word at ``start`` is said, as far as words have times."""
    return next((word.start_s for word in turn.words if word.end > start), turn.start_s)


def _ends(turn: RedactedTurn, end: int) -> float | None:
    """When the word before ``end`` is over, as far as words have times."""
    return next((word.end_s for word in reversed(turn.words) if word.start < end), turn.end_s)


# --- what is judged ------------------------------------------------------------------------------


def scores_of(
    record: CallRecord, judgements: Sequence[Judgement], *, by: str
) -> tuple[Subject, ...]:
    """The criteria of the card, in its order."""
    return tuple(_criterion(record, score, judgements, by) for score in record.scorecard.scores)


def _criterion(
    record: CallRecord, score: Score, judgements: Sequence[Judgement], by: str
) -> Subject:
    code = score.criterion.value
    own, others = _split(judgements, code, by)
    return Subject(
        code=code,
        name=CRITERIA_NAMES[score.criterion],
        value=_points_in_words(score),
        status=_status(score),
        is_decided=score.status is not ScoreStatus.ABSTAINED,
        is_criterion=True,
        reason=score.reason,
        options=_scale(score.criterion),
        own=own,
        others=others,
        places=_places(record, score.evidence, key=code, layer=code),
        score=score,
        effects=tuple(
            ShownEffect(
                words=_FEATURES.get(effect.feature, effect.feature.replace("_", " ")),
                points=effect.points,
                places=_places(
                    record, effect.evidence, key=f"{code}-{effect.feature}", layer="effect"
                ),
            )
            for effect in score.effects
            if abs(effect.points) >= _TELLING_POINTS
        ),
    )


def _scale(criterion: Criterion) -> tuple[tuple[str, str], ...]:
    words = URGENCIES if criterion is Criterion.URGENCY else ()
    options = tuple(
        (str(points), f"{points} {words[points]}" if words else str(points))
        for points in scale_of(criterion)
    )
    return (*options, ("none", "not assessable"))


def _points_in_words(score: Score) -> str:
    if score.points is None:
        return "left open" if score.status is ScoreStatus.ABSTAINED else "not assessable"
    return f"{score.points:.1f} of {score.max_points:.0f}"


def _status(score: Score) -> str:
    if score.status is ScoreStatus.ABSTAINED:
        return "The machine is too unsure to give points and leaves it to a person."
    if score.status is ScoreStatus.NOT_ASSESSABLE or score.points is None:
        return "The call gave no occasion for it, which is not the same as doing badly."
    if score.criterion is Criterion.URGENCY:
        return f"{URGENCIES[min(max(round(score.points), 0), 3)].capitalize()}."
    return ""


def facts_of(
    record: CallRecord, judgements: Sequence[Judgement], *, by: str
) -> tuple[Subject, ...]:
    """Call type and what became of the urgency."""
    card = record.scorecard
    also = ", ".join(call_type(kind) for kind in card.also)
    own, others = _split(judgements, CALL_TYPE, by)
    kind = Subject(
        code=CALL_TYPE,
        name="What the call is about",
        value=NOT_ASSESSED if card.call_type is None else call_type(card.call_type),
        status="",
        is_decided=card.call_type is not None,
        is_criterion=False,
        reason="",
        options=_call_types(),
        own=own,
        others=others,
        note=f"also {also}" if also else "",
    )
    own, others = _split(judgements, OUTCOME, by)
    delay = card.escalation_delay_s
    outcome = Subject(
        code=OUTCOME,
        name="Urgency passed on",
        value="left open" if card.escalated is None else OUTCOMES[card.escalated],
        status="",
        is_decided=card.escalated is not None,
        is_criterion=False,
        reason="",
        options=tuple((one.value, words) for one, words in OUTCOMES.items()),
        own=own,
        others=others,
        note="" if delay is None else f"{duration(delay)} after the first sign",
    )
    return kind, outcome


def _call_types() -> tuple[tuple[str, str], ...]:
    return tuple((one.value, call_type(one)) for one in CallType)


def checklist_of(
    record: CallRecord, judgements: Sequence[Judgement], *, by: str
) -> tuple[Subject, ...]:
    """The items of the checklist, in the order of the rubric."""
    words = {
        ChecklistAnswer.YES: "yes",
        ChecklistAnswer.NO: "no",
        ChecklistAnswer.NOT_APPLICABLE: "not applicable",
        ChecklistAnswer.UNSURE: "left open",
    }
    items = []
    for item in record.scorecard.checklist:
        code = checklist_subject(item.item)
        own, others = _split(judgements, code, by)
        items.append(
            Subject(
                code=code,
                name=item.item.replace("_", " ").capitalize(),
                value=words[item.answer],
                status="",
                is_decided=item.answer is not ChecklistAnswer.UNSURE,
                is_criterion=False,
                reason=item.reason,
                options=tuple(
                    (answer.value, said)
                    for answer, said in words.items()
                    if answer is not ChecklistAnswer.UNSURE
                ),
                own=own,
                others=others,
                places=_places(
                    record, item.evidence, key=f"checklist-{item.item}", layer="checklist"
                ),
                item=item,
            )
        )
    return tuple(items)


def _split(
    judgements: Sequence[Judgement], code: str, by: str
) -> tuple[Judgement | None, tuple[Judgement, ...]]:
    """The viewer's judgement of ``code`` that is in force, and those of the others."""
    standing = [one for one in judgements if one.subject == code and one.is_in_force]
    own = next((one for one in standing if one.user_id == by), None)
    return own, tuple(one for one in standing if one.user_id != by)


def blind_fields(judgements: Sequence[Judgement], *, by: str) -> tuple[BlindField, ...]:
    """The blank fields of a blind review; nothing in them comes from the machine."""
    fields = [
        BlindField(
            code=criterion.value,
            name=CRITERIA_NAMES[criterion],
            options=_scale(criterion),
            is_needed=True,
            said=_split(judgements, criterion.value, by)[0],
        )
        for criterion in Criterion
    ]
    for code, name, options in (
        (CALL_TYPE, "What the call is about", _call_types()),
        (
            OUTCOME,
            "Urgency passed on",
            tuple((one.value, words) for one, words in OUTCOMES.items()),
        ),
    ):
        own, _ = _split(judgements, code, by)
        fields.append(BlindField(code=code, name=name, options=options, is_needed=False, said=own))
    return tuple(fields)


def said(judgement: Judgement) -> str:
    """What a judgement says, in words."""
    if judgement.criterion is not None:
        if judgement.points is None:
            return "not assessable"
        if judgement.criterion is Criterion.URGENCY and float(judgement.points).is_integer():
            return f"{judgement.points:.0f} {URGENCIES[int(judgement.points)]}"
        return f"{judgement.points:g}"
    return answered(judgement.subject, judgement.answer)


def answered(subject: str, answer: str | None) -> str:
    """An answer in words."""
    if answer is None:
        return "not assessable"
    if subject == OUTCOME:
        return OUTCOMES[EscalationOutcome(answer)]
    return dict(_call_types()).get(answer, answer.replace("_", " "))


def red_flags_of(record: CallRecord) -> tuple[RedFlag, ...]:
    """The signs of an emergency that were found with some certainty, each kind at its first place.

    An urgency that nothing points to has none, whatever words the list of red flags has met.
    """
    found: dict[str, Evidence] = {}
    for finding in record.findings:
        sure = finding.confidence if finding.probability is None else finding.probability
        if finding.task == _RED_FLAG and finding.evidence is not None and sure >= _FLAG_SURE:
            found.setdefault(finding.label, finding.evidence)
    flags = []
    for label, evidence in found.items():
        for place in _places(record, [evidence], key=f"flag-{label}", layer="flag"):
            flags.append(RedFlag(name=label.replace("_", " "), place=place))
    return tuple(flags)


# --- facts ---------------------------------------------------------------------------------------


def warning(code: str) -> str:
    """What a reader should know, in a sentence."""
    return _WARNINGS.get(code, f"{code.replace('_', ' ').capitalize()}.")


def main_measures(measures: Sequence[Measure]) -> tuple[Sequence[Measure], Sequence[Measure]]:
    """The measures that are asked for most, and the rest; what cannot be told is in the rest."""
    by_name = {measure.metric.name: measure for measure in measures}
    first = [
        by_name[name]
        for name in _MAIN_MEASURES
        if name in by_name and by_name[name].value is not None
    ]
    return first, [measure for measure in measures if measure not in first]


def metric_name(measure: Measure) -> str:
    """The name of a measure in words; its unit stands with its value."""
    name = measure.metric.name
    return (name.removesuffix("_s") if measure.metric.unit == "s" else name).replace("_", " ")


def measured(measure: Measure) -> str:
    """The value of a measure with its unit."""
    value = measure.value
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    match measure.metric.unit:
        case "s" if value >= 10:
            return duration(value)
        case "s":
            return f"{value:.1f} s"
        case "share":
            return f"{value:.0%}"
        case _:
            return f"{value:.0f}"
