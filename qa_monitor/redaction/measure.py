"""How well a redactor does on labelled calls, without keeping or showing a word of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, Role, Turn
from qa_monitor.redaction import Redactor

__all__ = [
    "DIGIT_IDENTIFIERS",
    "CallCounts",
    "MeasuredTurn",
    "PhiLabel",
    "RedactionFigures",
    "RedactionTally",
    "Share",
    "count_call",
    "count_redacted",
    "is_spelled",
    "is_whole_date",
    "labelled_dialogue",
    "lowered",
    "measure",
    "wilson",
]

DIGIT_IDENTIFIERS = frozenset(
    {
        EntityType.PHONE,
        EntityType.FAX,
        EntityType.SSN,
        EntityType.MEMBER_ID,
        EntityType.MRN,
        EntityType.ACCOUNT,
        EntityType.LICENSE,
        EntityType.DEVICE,
        EntityType.IP,
        EntityType.OTHER_ID,
    }
)
"""Kinds of PHI that are told in digits, at times with letters."""

_WORD = re.compile(r"\w+")
# Left of a span these words tell nothing: "the" of "the fourteenth".
_EMPTY_WORDS = frozenset("a an and as at by dash dot for in is its of on the uh um".split())

_RESAMPLES = 1000
_SEED = 17


# --- kinds of labels that are measured by themselves ---------------------------------------------

# Of these lists none is shared with the finders: a value that they fail to read must not drop out
# of the measure for that very reason.
_MONTHS = frozenset(
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_ONES = frozenset(
    "one two three four five six seven eight nine "
    "first second third fourth fifth sixth seventh eighth ninth".split()
)
_TENS = frozenset("twenty thirty forty fourty fifty sixty seventy eighty ninety".split())
_OTHER_NUMBERS = frozenset(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen "
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
    "nineteenth twentieth thirtieth".split()
)
_ZEROS = frozenset("oh zero nought naught o".split())
_THOUSANDS = frozenset({"thousand", "hundred"})
_BIRTH = re.compile(r"\b(?:born|birth|birthday|birthdate|birthdays|dob|d\.o\.b|bday)\b")
_BIRTH_REACH_TURNS = 2

_LETTER_WORDS = frozenset(
    "bee cee see sea dee ef eff gee aitch haitch jay kay el ell em en oh pee cue queue are ar ess "
    "es tee tea you vee ex why wye zee zed eye "
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike "
    "november oscar papa quebec romeo sierra tango uniform victor whiskey whisky xray yankee "
    "zulu".split()
)
_BETWEEN_LETTERS = frozenset(
    "uh um er erm and then double triple capital big small dash hyphen space apostrophe".split()
)
_LETTER_EXAMPLE = re.compile(r"(?:as in|as|for|like|in) (?:a |an |the )?\w+")


def is_whole_date(text: str) -> bool:
    """Whether ``text`` tells day, month and year, in digits or in words.

    It does when it holds two numbers beside the name of a month, or three numbers without one:
    "march third nineteen eighty two", "3/14/82", "oh three fourteen fifty one", "03141951".
    """
    words = re.findall(r"\d+|[a-z]+", text.lower())
    has_month = any(word in _MONTHS for word in words)
    numbers = 0
    before = ""
    for word in words:
        if word.isdecimal():
            numbers += 3 if len(word) in (6, 8) else 1
        elif word in _ONES:
            # "twenty third" and "oh three" are one number, and so is "two thousand five".
            numbers += before not in _TENS | _ZEROS | _THOUSANDS
        elif word in _TENS | _ZEROS | _OTHER_NUMBERS:
            numbers += 1
        elif word in {"and", "the", "of"}:
            continue
        before = word
    return numbers >= (2 if has_month else 3)


def is_spelled(text: str) -> bool:
    """Whether ``text`` holds three letters one after another, each said or written by itself.

    A letter may come with its word ("M as in Mary") or be the word ("mike", "em", "see").
    """
    words = re.findall(r"[^\W_]+", text.lower())
    position = letters = 0
    while position < len(words):
        word = words[position]
        position += 1
        if (len(word) == 1 and word.isalpha()) or word in _LETTER_WORDS:
            letters += 1
            if letters == 3:
                return True
            example = _LETTER_EXAMPLE.match(" ".join(words[position:]))
            if example:
                position += example.group().count(" ") + 1
        elif word not in _BETWEEN_LETTERS:
            letters = 0
    return False


# --- counting ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhiLabel:
    """A stretch ``[start, end)`` of a turn's text that is PHI, by a person's mark or a finder's."""

    start: int
    end: int
    entity_type: EntityType


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTurn:
    """A turn, what is PHI in it and what was found; stretches ``ignored`` count neither way."""

    text: str = field(repr=False)
    role: Role
    labels: Sequence[PhiLabel]
    found: Sequence[PhiLabel]
    ignored: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class CallCounts:
    """What one call adds to each measure: ``part`` of ``whole``, over ``count`` labels or spans."""

    part: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    count: Counter[str] = field(default_factory=Counter)

    def add(self, measure: str, part: int, whole: int) -> None:
        """Counts one label, span or call."""
        self.part[measure] += part
        self.whole[measure] += whole
        self.count[measure] += 1


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``, with its 95 % interval, over ``count`` labels, spans or calls."""

    part: int
    whole: int
    count: int
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        """0 to 1; ``None`` where there was nothing to measure."""
        return self.part / self.whole if self.whole else None


def count_call(turns: Sequence[MeasuredTurn]) -> CallCounts:
    """The counts of one call.

    Recalls are by character: ``character_recall`` of all labels, ``digit_identifiers``,
    ``birth_dates`` (whole dates, and dates up to two turns after a word of birth), ``names``,
    ``spelled_names``, ``type:T`` and ``role:R``. ``label_recall`` counts labels of which no telling
    word is left, ``calls_without_leak`` calls that have no others. ``span_precision`` counts spans
    of which at least half is PHI, ``character_precision`` redacted characters that are PHI,
    ``type_agreement`` covered characters whose span has the label's type.
    """
    counts = CallCounts()
    is_leaked = False
    for index, turn in enumerate(turns):
        is_ignored = [False] * len(turn.text)
        for start, end in turn.ignored:
            is_ignored[start:end] = [True] * (end - start)
        hidden = _types_at(turn.text, turn.found)
        _count_spans(counts, turn, is_ignored)
        for label in turn.labels:
            over = [hidden[i] for i in range(label.start, label.end) if not is_ignored[i]]
            if not over:
                continue
            covered = sum(cover is not None for cover in over)
            for measure in _measures_of(label, turns, index):
                counts.add(measure, covered, len(over))
            counts.add("type_agreement", sum(cover is label.entity_type for cover in over), covered)
            tells = any(
                match.group().lower() not in _EMPTY_WORDS
                and any(hidden[i] is None for i in range(match.start(), match.end()))
                and not any(is_ignored[match.start() : match.end()])
                for match in _WORD.finditer(turn.text, label.start, label.end)
            )
            counts.add("label_recall", not tells, 1)
            is_leaked |= tells
    counts.add("calls_without_leak", not is_leaked, 1)
    return counts


def _types_at(text: str, stretches: Sequence[PhiLabel]) -> list[EntityType | None]:
    types: list[EntityType | None] = [None] * len(text)
    for stretch in stretches:
        types[stretch.start : stretch.end] = [stretch.entity_type] * (stretch.end - stretch.start)
    return types


def _count_spans(counts: CallCounts, turn: MeasuredTurn, is_ignored: Sequence[bool]) -> None:
    marked = _types_at(turn.text, turn.labels)
    for span in turn.found:
        inside = [marked[i] for i in range(span.start, span.end) if not is_ignored[i]]
        if inside:
            hits = sum(mark is not None for mark in inside)
            counts.add("span_precision", 2 * hits >= len(inside), 1)
            counts.add("character_precision", hits, len(inside))


def _measures_of(label: PhiLabel, turns: Sequence[MeasuredTurn], index: int) -> Iterator[str]:
    text = turns[index].text[label.start : label.end]
    yield "character_recall"
    yield f"type:{label.entity_type}"
    yield f"role:{turns[index].role}"
    if label.entity_type in DIGIT_IDENTIFIERS:
        yield "digit_identifiers"
    if label.entity_type is EntityType.PERSON:
        yield "names"
        if is_spelled(text):
            yield "spelled_names"
    if label.entity_type is EntityType.DATE and (
        is_whole_date(text)
        or any(
            _BIRTH.search(turn.text.lower())
            for turn in turns[max(0, index - _BIRTH_REACH_TURNS) : index + 1]
        )
    ):
        yield "birth_dates"


# --- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionFigures:
    """What was measured; shares are 0 to 1, ``None`` where there was nothing to measure.

    ``character_recall`` is the share of labelled PHI characters that any span covers, whatever its
    type; ``recall_by_type`` the same for each labelled type, and so the recalls of digit
    identifiers, birth dates, names and spelled names, which ``count_call`` explains;
    ``worst_type`` is the type with the lowest. ``type_agreement`` is the share of covered labelled
    characters whose span has the label's type. ``character_precision`` is the share of redacted
    characters that are labelled, ``span_precision`` the share of spans of which at least half is
    labelled. A call is without leak when of none of its labels a telling word is left.
    """

    calls: int
    labels: int
    spans: int
    labelled_characters: int
    over_redacted_characters: int
    character_recall: float | None
    character_precision: float | None
    span_precision: float | None
    type_agreement: float | None
    label_recall: float | None
    calls_without_leak: float | None
    digit_identifier_recall: float | None
    birth_date_recall: float | None
    name_recall: float | None
    spelled_name_recall: float | None
    worst_type: str | None
    worst_type_recall: float | None
    worst_type_labels: int
    recall_by_type: Mapping[str, float]
    labels_by_type: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, for JSON."""
        return {
            name: dict(value) if isinstance(value := getattr(self, name), Mapping) else value
            for name in self.__slots__
        }


@dataclass(slots=True)
class RedactionTally:
    """Counts call after call; ``figures`` and ``share`` say what it came to."""

    calls: list[CallCounts] = field(default_factory=list)

    def add(
        self,
        texts: Sequence[str],
        labels: Sequence[Sequence[PhiLabel]],
        redacted: RedactedDialogue,
    ) -> None:
        """Counts one call: its turns' texts and labels, and what the redactor made of it."""
        self.calls.append(count_call(_measured(texts, labels, redacted, [()] * len(texts))))

    def share(self, measure: str) -> Share:
        """``measure``, one of ``count_call``, over all calls added so far.

        The interval is ``wilson``'s where calls are counted; else it is a bootstrap over
        calls [Efron 1979] with a fixed seed, because the values of a call are alike.
        """
        parts = np.array([call.part[measure] for call in self.calls], dtype=np.int64)
        wholes = np.array([call.whole[measure] for call in self.calls], dtype=np.int64)
        part, whole = int(parts.sum()), int(wholes.sum())
        low = high = None
        if whole and measure == "calls_without_leak":
            low, high = wilson(part, whole)
        elif whole:
            low, high = _bootstrap(parts, wholes)
        count = sum(call.count[measure] for call in self.calls)
        return Share(part, whole, count, low, high)

    def worst(self, prefix: str) -> tuple[str, Share] | None:
        """The measure below ``prefix`` ("type:", "role:") with the lowest share."""
        shares = {name: self.share(name) for name in self.measures(prefix)}
        known = [(s.value, -s.count, name) for name, s in shares.items() if s.value is not None]
        if not known:
            return None
        name = min(known)[2]
        return name.removeprefix(prefix), shares[name]

    def measures(self, prefix: str) -> list[str]:
        """The names of the measures below ``prefix``, in order."""
        names = {name for call in self.calls for name in call.whole}
        return sorted(name for name in names if name.startswith(prefix))

    def figures(self) -> RedactionFigures:
        """The figures over all calls added so far."""
        part: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        count: Counter[str] = Counter()
        for call in self.calls:
            part.update(call.part)
            whole.update(call.whole)
            count.update(call.count)

        def share(measure: str) -> float | None:
            return round(part[measure] / whole[measure], 4) if whole[measure] else None

        types = {name: name.removeprefix("type:") for name in self.measures("type:")}
        recalls = {kind: value for n, kind in types.items() if (value := share(n)) is not None}
        labels = {kind: count[name] for name, kind in types.items()}
        worst = min(recalls, key=lambda kind: (recalls[kind], -labels[kind]), default=None)
        return RedactionFigures(
            calls=len(self.calls),
            labels=count["label_recall"],
            spans=count["span_precision"],
            labelled_characters=whole["character_recall"],
            over_redacted_characters=whole["character_precision"] - part["character_precision"],
            character_recall=share("character_recall"),
            character_precision=share("character_precision"),
            span_precision=share("span_precision"),
            type_agreement=share("type_agreement"),
            label_recall=share("label_recall"),
            calls_without_leak=share("calls_without_leak"),
            digit_identifier_recall=share("digit_identifiers"),
            birth_date_recall=share("birth_dates"),
            name_recall=share("names"),
            spelled_name_recall=share("spelled_names"),
            worst_type=worst,
            worst_type_recall=recalls[worst] if worst else None,
            worst_type_labels=labels[worst] if worst else 0,
            recall_by_type=recalls,
            labels_by_type=labels,
        )


def wilson(part: int, whole: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of ``part`` in ``whole`` independent cases [Wilson 1927]."""
    share = part / whole
    middle = share + z * z / (2 * whole)
    reach = z * ((share * (1 - share) + z * z / (4 * whole)) / whole) ** 0.5
    scale = 1 + z * z / whole
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def _bootstrap(parts: Any, wholes: Any) -> tuple[float, float]:
    drawn = np.random.default_rng(_SEED).integers(0, len(parts), (_RESAMPLES, len(parts)))
    part, whole = parts[drawn].sum(axis=1), wholes[drawn].sum(axis=1)
    shares = part[whole > 0] / whole[whole > 0]
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


# --- labelled calls ------------------------------------------------------------------------------


def labelled_dialogue(call: Mapping[str, Any]) -> tuple[Dialogue, list[list[PhiLabel]]]:
    """A labelled call, as a line of an evaluation file holds it, as dialogue and labels."""
    turns: list[Turn] = []
    labels: list[list[PhiLabel]] = []
    for index, turn in enumerate(call["turns"]):
        role = Role(turn["speaker"]) if turn["speaker"] in set(Role) else Role.UNKNOWN
        turns.append(
            Turn(
                index=index,
                speaker=turn["speaker"],
                role=role,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=turn["text"],
            )
        )
        labels.append(
            [
                PhiLabel(int(phi["start"]), int(phi["end"]), EntityType(phi["type"]))
                for phi in turn.get("phi", [])
            ]
        )
    dialogue = Dialogue(
        call_id=str(call["id"]),
        language="en",
        asr_model="none",
        dropped_s=0.0,
        turns=tuple(turns),
    )
    return dialogue, labels


def count_redacted(call: Mapping[str, Any], redactor: Redactor) -> CallCounts:
    """The counts of a labelled call as ``redactor`` takes it.

    A turn may hold ``ignored``, stretches ``[start, end]`` that count neither way: words that a
    recogniser heard in place of a value and that no longer tell it.
    """
    dialogue, labels = labelled_dialogue(call)
    ignored = [
        [(int(start), int(end)) for start, end in turn.get("ignored", [])] for turn in call["turns"]
    ]
    texts = [turn.text for turn in dialogue.turns]
    return count_call(_measured(texts, labels, redactor.redact(dialogue), ignored))


def _measured(
    texts: Sequence[str],
    labels: Sequence[Sequence[PhiLabel]],
    redacted: RedactedDialogue,
    ignored: Sequence[Sequence[tuple[int, int]]],
) -> list[MeasuredTurn]:
    return [
        MeasuredTurn(
            text=text,
            role=turn.role,
            labels=turn_labels,
            found=[
                PhiLabel(span.source_start, span.source_end, span.entity_type)
                for span in turn.spans
            ],
            ignored=turn_ignored,
        )
        for text, turn_labels, turn, turn_ignored in zip(
            texts, labels, redacted.turns, ignored, strict=True
        )
    ]


def lowered(call: Mapping[str, Any]) -> dict[str, Any]:
    """A labelled call in lower case; the labels stay where they are."""

    def lower(text: str) -> str:
        # A few capitals grow when lowered; they stay, so that offsets do.
        return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)

    return {
        **call,
        "turns": [
            {
                **turn,
                "text": lower(turn["text"]),
                "phi": [
                    {**phi, "text": lower(turn["text"][phi["start"] : phi["end"]])}
                    for phi in turn.get("phi", [])
                ],
            }
            for turn in call["turns"]
        ],
    }


def measure(calls: Iterable[Mapping[str, Any]], redactor: Redactor) -> RedactionFigures:
    """The figures of ``redactor`` on labelled ``calls``."""
    return RedactionTally([count_redacted(call, redactor) for call in calls]).figures()
