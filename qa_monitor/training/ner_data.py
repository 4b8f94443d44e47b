"""Text for training the PHI pipeline: written calls, and names spliced into real dialogue.

A document is several turns joined by line breaks, as the redactor reads a call, so that the
pipeline sees the question before an answer. Names, organisations and places come from word lists;
a tenth of each list is kept for testing, as are some dialogues and one folder of the written calls.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from qa_monitor.calls import EntityType
from qa_monitor.redaction.settings import load_settings
from qa_monitor.redaction.words import is_common

__all__ = [
    "LABELS",
    "MONTHS",
    "ONES",
    "ORDINALS",
    "TEENS",
    "TENS",
    "Document",
    "Names",
    "Splicer",
    "augment_call",
    "call_documents",
    "is_training_dialogue",
    "parse_marked",
    "read_dialogues",
    "read_written_calls",
    "splice_piece",
    "swap_value",
    "template_document",
]

LABELS = ("PERSON", "ORGANIZATION", "LOCATION", "DATE")
"""What the pipeline learns; everything else is left to rules."""

_LISTS = Path(__file__).with_name("lists")
_MARK = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")
_TURN = re.compile(r"(agent|caller)(?: \{[^}]*\})?: (.*)")
_SLOT = re.compile(r"\{(\w+)\}")

Marked = tuple[str, list[tuple[int, int, str]]]
"""A text and its spans ``(start, end, type)``."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text to learn from, with its spans."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


# --- reading -------------------------------------------------------------------------------------


def parse_marked(text: str) -> Marked:
    """``[Ray|PERSON] here`` as plain text and its spans."""
    plain: list[str] = []
    spans: list[tuple[int, int, str]] = []
    length = position = 0
    for match in _MARK.finditer(text):
        plain.append(text[position : match.start()])
        length += match.start() - position
        value = match[1]
        spans.append((length, length + len(value), EntityType(match[2]).value))
        plain.append(value)
        length += len(value)
        position = match.end()
    plain.append(text[position:])
    return "".join(plain), spans


def read_written_calls(folder: Path) -> Iterator[dict[str, Any]]:
    """The written calls below ``folder`` as ``{"id", "turns": [{"speaker", "text", "phi"}]}``."""
    for path in sorted(folder.rglob("*.txt")):
        call: dict[str, Any] | None = None
        in_turns = False
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("==="):
                if call is not None:
                    yield call
                call = {"id": line[3:].strip(), "turns": []}
                in_turns = False
            elif line.strip() == "---":
                in_turns = True
            elif in_turns and call is not None and (match := _TURN.fullmatch(line.strip())):
                text, spans = parse_marked(match[2])
                call["turns"].append(
                    {
                        "speaker": match[1],
                        "text": text,
                        "phi": [
                            {"start": s, "end": e, "type": t, "text": text[s:e]}
                            for s, e, t in spans
                        ],
                    }
                )
        if call is not None:
            yield call


def is_training_dialogue(corpus: str, dialogue_id: str) -> bool:
    """Whether a public dialogue is for training; the other half is for measuring.

    ``corpus`` is the name of its file without ``.jsonl``. The rule looks at nothing else, so that a
    dialogue stays on its side whatever other files are there and however they are ordered.
    """
    return hashlib.sha256(f"{corpus}\n{dialogue_id}".encode()).digest()[-1] % 2 == 0


def read_dialogues(folder: Path, part: Literal["train", "test", "all"] = "all") -> list[list[str]]:
    """The turns of the dialogues below ``folder``, without turns that hold a listed name.

    ``part`` takes those that ``is_training_dialogue`` says are for training, the others, or all.
    """
    known = {
        word
        for name in ("first_names", "last_names", "towns")
        for word in _read_list(name)
        if " " not in word and not is_common(word)
    }
    dialogues: list[list[str]] = []
    for path in sorted(folder.glob("*.jsonl")):
        is_cased = "aci" not in path.name
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                dialogue = json.loads(line)
                is_training = is_training_dialogue(path.stem, dialogue["id"])
                if part == ("test" if is_training else "train"):
                    continue
                turns: list[str] = []
                for turn in dialogue["turns"]:
                    text = re.sub(r" ([,.?!])", r"\1", turn["text"]).replace("\n", " ").strip()
                    names = [
                        word
                        for word in re.findall(r"[A-Za-z]+", text)
                        if word.lower() in known and (word[0].isupper() or not is_cased)
                    ]
                    if text and not names and "[" not in text:
                        turns.append(text)
                if len(turns) >= 3:
                    dialogues.append(turns)
    return dialogues


@cache
def _read_list(name: str) -> tuple[str, ...]:
    return tuple((_LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines())


# --- names ---------------------------------------------------------------------------------------

_ORG_KINDS = (
    "clinic|family clinic|medical center|health center|hospital|general hospital|family medicine|"
    "pediatrics|women's health|cardiology|orthopedics|dermatology|oncology|imaging|dental|eye care|"
    "pharmacy|drug|urgent care|primary care|family practice|surgery|medical practice|health centre|"
    "medical group|physicians|physical therapy|rehab|hospice|home health|behavioral health|"
    "health partners|heart group|heart specialists|neurology|pain center|spine|sleep center|labs|"
    "health plan|insurance|mutual|health|healthcare|advantage plus|choice|care|chemist|pharmacare|"
    "medical associates|cancer center|birth center|vision|ENT|recovery|telehealth|nursing home|"
    "senior living|elementary school|high school|university|college|lumber|logistics|foods|"
    "construction|church|law office|credit union|dialysis|wellness|virtual care|eye associates"
).split("|")
_CHAINS = (
    "walgreens|cvs|rite aid|walmart|costco|kroger|publix|h-e-b|boots|superdrug|aetna|cigna|humana|"
    "anthem|kaiser|united healthcare|blue cross|blue cross blue shield|molina|quest|labcorp|optum|"
    "express scripts|caremark|walgreens pharmacy|cvs pharmacy|target|safeway|sam's club|bupa|tesco"
).split("|")
_STREET_KINDS = (
    "street|avenue|road|drive|lane|boulevard|court|place|way|circle|terrace|parkway|highway|close|"
    "crescent|gardens|row|st|ave|trail|square"
).split("|")
_WORD_NAMES = (
    "will mark grace hope joy faith rose may april june summer autumn dawn bill rich art frank "
    "dean "
    "price banks church love early lamb small royal hunter olive ivy ruby pearl amber crystal "
    "eve sky "
    "star moon young bone page cash case bell ball cook baker long short sharp strong wise best "
    "day "
    "gray green brown white black wood stone hill field rivers lake brook forest heath frost snow "
    "rain winter sage ginger basil poppy heather violet jade penny dolly candy honey major judge "
    "king noble bishop pope knight abbott mason carpenter fisher miller taylor potter shepherd sue "
    "pat gene rusty sandy misty stormy chance chase lance drew grant miles reed ray rocky cliff "
    "dale "
    "glen rush speed quick swift power savage gentle gay bright moody blunt blank law penn nail "
    "hand "
    "head foot light lightfoot lark finch crane drake hawk fox wolf lyon bull hogg buck doe"
).split()
_NATO_LIKE = (
    "apple boy cat dog david edward frank george harry ida john king larry mary mike nancy oscar "
    "peter queen robert sam tom union victor william xray young zebra sugar nora adam baker charlie"
).split()
MONTHS = (
    "january february march april may june july august september october november december"
).split()
ONES = "zero one two three four five six seven eight nine".split()
TEENS = ("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()


@cache
def _medicines() -> tuple[str, ...]:
    return tuple(sorted(load_settings().medicines))


def _number(value: int) -> str:
    if value < 20:
        return (ONES + TEENS)[value]
    return TENS[value // 10 - 2] + ("" if value % 10 == 0 else f"-{ONES[value % 10]}")


def _capital(text: str) -> str:
    small = {"of", "and", "the", "at", "de", "la", "del"}
    words = text.split(" ")
    return " ".join(
        w if w in small and i else "-".join(p[:1].upper() + p[1:] for p in w.split("-"))
        for i, w in enumerate(words)
    )


@dataclass(slots=True)
class Names:
    """Draws people, places, organisations and dates; ``is_test`` draws from the kept tenth."""

    rng: random.Random
    is_test: bool = False
    _chains: dict[str, dict[str, str]] = field(default_factory=dict)

    def _pick(self, name: str) -> str:
        entries = _read_list(name)
        # Every tenth entry is for testing; the order of the lists is the split's seed.
        position = self.rng.randrange(len(entries) // 10) * 10
        return entries[position if self.is_test else position + self.rng.randrange(1, 10)]

    def _invent(self, name: str) -> str:
        """A name that is on no list, letter by letter after those that are."""
        if name not in self._chains:
            follow: dict[str, str] = defaultdict(str)
            for entry in _read_list(name):
                padded = f"^^{entry}$"
                for i in range(2, len(padded)):
                    follow[padded[i - 2 : i]] += padded[i]
            self._chains[name] = dict(follow)
        for _ in range(50):
            letters = "^^"
            while letters[-1] != "$" and len(letters) < 16:
                letters += self.rng.choice(self._chains[name][letters[-2:]])
            made = letters[2:-1]
            if 3 <= len(made) <= 11 and letters[-1] == "$" and not is_common(made):
                return made
        return self._pick(name)

    def first(self) -> str:
        """A first name, lower-case."""
        draw = self.rng.random()
        if draw < 0.08 and not self.is_test:
            return self.rng.choice(_WORD_NAMES)
        return self._invent("first_names") if draw < 0.25 else self._pick("first_names")

    def last(self) -> str:
        """A last name, lower-case."""
        draw = self.rng.random()
        if draw < 0.08 and not self.is_test:
            return self.rng.choice(_WORD_NAMES)
        made = self._invent("last_names") if draw < 0.28 else self._pick("last_names")
        if self.rng.random() < 0.04:
            made = f"{made}-{self._pick('last_names')}"
        return made

    def person(self) -> str:
        """A mention of a person: first, full or last name."""
        draw = self.rng.random()
        if draw < 0.4:
            return _capital(self.first())
        if draw < 0.85:
            middle = ""
            if self.rng.random() < 0.07:
                middle = f" {self.rng.choice('abcdefghjklmnprstw').upper()}"
            return f"{_capital(self.first())}{middle} {_capital(self.last())}"
        return _capital(self.last())

    def spelled(self, name: str | None = None) -> str:
        """A name letter by letter, as people say it."""
        letters = [c for c in (name or self.last()) if c.isalpha()]
        joint = self.rng.choice([", ", " ", "-", ". "])
        said = []
        for letter in letters:
            if self.rng.random() < 0.08:
                words = [w for w in _NATO_LIKE if w[0] == letter]
                if words:
                    how = self.rng.choice(["as in", "for", "like"])
                    said.append(f"{letter.upper()} {how} {_capital(self.rng.choice(words))}")
                    continue
            said.append(letter.upper())
        return joint.join(said)

    def organisation(self) -> str:
        """A clinic, pharmacy, plan or employer."""
        draw = self.rng.random()
        if draw < 0.15:
            return _capital(self.rng.choice(_CHAINS))
        head = (
            self._pick("organisations")
            if draw < 0.6
            else self._pick("towns")
            if draw < 0.8
            else self.last()
        )
        kind = self.rng.choice(_ORG_KINDS)
        if draw > 0.97:
            return _capital(f"{kind} of {self._pick('towns')}")
        if 0.85 < draw < 0.9:
            return _capital(head if head.endswith("s") else f"{head}'s")
        return _capital(f"{head} {kind}")

    def town(self) -> str:
        """A town or city, at times with "county" or a part of town."""
        draw = self.rng.random()
        town = self._invent("towns") if draw < 0.15 else self._pick("towns")
        if draw > 0.95:
            town = f"{town} county"
        elif draw > 0.9:
            town = f"{self.rng.choice(['north', 'south', 'east', 'west'])} {town}"
        return _capital(town)

    def address(self) -> str:
        """House number and street, spoken or written."""
        number = self.rng.randrange(1, 9999)
        if self.rng.random() < 0.5:
            said = str(number)
        elif number < 100:
            said = _number(number)
        elif self.rng.random() < 0.5:
            high, low = divmod(number, 100)
            tail = f"{_number(low)}" if low > 9 else f"oh {ONES[low]}" if low else "hundred"
            said = f"{_number(high)} {tail}"
        else:
            said = " ".join(ONES[int(d)] for d in str(number))
        return f"{said} {self.street()}"

    def street(self) -> str:
        """A street without a number; at times without "street"."""
        name = self.last() if self.rng.random() < 0.25 else self._pick("streets")
        if self.rng.random() < 0.12:
            return _capital(name)
        return _capital(f"{name} {self.rng.choice(_STREET_KINDS)}")

    def medicine(self) -> str:
        """The name of a medicine, which is no PHI."""
        return _capital(self.rng.choice(_medicines()))

    def date(self) -> str:
        """A date as said or written."""
        month = _capital(self.rng.choice(MONTHS))
        day = self.rng.randrange(1, 31)
        year = self.rng.randrange(1925, 2025)
        high, low = divmod(year, 100)
        spoken_year = f"{_number(high)} {_number(low) if low > 9 else 'oh ' + ONES[low]}"
        ordinal = (
            ORDINALS[day - 1]
            if day <= 20
            else "thirtieth"
            if day == 30
            else f"twenty-{ORDINALS[day - 21]}"
        )
        return self.rng.choice(
            [
                f"{month} {ordinal}",
                f"{month} {ordinal}, {spoken_year}",
                f"{month} {day}",
                f"{month} {day}, {year}",
                f"the {ordinal}",
                f"the {ordinal} of {month}",
                f"{ordinal} of {month} {spoken_year}",
                month,
                f"{self.rng.randrange(1, 13):02d}/{day:02d}/{year}",
            ]
        )


# --- documents -----------------------------------------------------------------------------------


def _as_heard(marked: Marked, rng: random.Random) -> Marked:
    """The text as it is, in lower case, or in lower case without punctuation."""
    draw = rng.random()
    text, spans = marked
    if draw < 0.5:
        return marked
    if draw < 0.55:
        return text.lower() if len(text.lower()) == len(text) else text, spans
    return _strip(text, spans)


def _strip(text: str, spans: list[tuple[int, int, str]]) -> Marked:
    """Lower case without punctuation, hyphens as spaces, offsets kept."""
    kept: list[str] = []
    places: list[int] = []
    for char in text:
        places.append(len(kept))
        plain = " " if char in "-–—/" else char
        if plain.isalnum() or plain in " '\n’":
            if plain == " " and (not kept or kept[-1] == " "):
                continue
            lowered = plain.lower()
            kept.append(lowered if len(lowered) == 1 else plain)
    places.append(len(kept))
    stripped = "".join(kept)
    moved = []
    for start, end, label in spans:
        left, right = places[start], places[end]
        while left < right and stripped[left] == " ":
            left += 1
        while right > left and stripped[right - 1] == " ":
            right -= 1
        if right > left:
            moved.append((left, right, label))
    return stripped, moved


def _join(turns: Sequence[Marked]) -> Document:
    texts: list[str] = []
    spans: list[tuple[int, int, str]] = []
    length = 0
    for text, turn_spans in turns:
        texts.append(text)
        spans.extend((s + length, e + length, t) for s, e, t in turn_spans if t in LABELS)
        length += len(text) + 1
    return Document("\n".join(texts), tuple(spans))


_SPLICES: dict[str, tuple[tuple[str, float], ...]] = {
    "PERSON": (
        ("{x}", 3), ("{x},", 2), ("Dr. {last}", 2), ("Mr. {last}", 1), ("Mrs. {last}", 1),
        ("my wife {x}", 0.5), ("my son {x}", 0.5), ("my sister {x}", 0.5), ("and {x}", 0.5),
        ("it's {x}", 0.5), ("this is {x}", 0.7), ("I'm {x}", 0.5), ("thanks, {x}", 0.5),
        ("with {x}", 0.5), ("{x}'s", 0.5), ("my name is {x}", 0.7), ("that's {spelled}", 0.6),
        ("nurse {x}", 0.3), ("ask for {x}", 0.3), ("{x} said", 0.5), ("tell {x}", 0.3),
    ),
    "ORGANIZATION": (
        ("{x}", 2), ("at {x}", 2), ("from {x}", 1), ("the {x}", 1), ("over at the {x}", 0.5),
        ("I have {x}", 0.5), ("with {x}", 0.5), ("to {x}", 0.5), ("{x} said", 0.3),
    ),
    "LOCATION": (
        ("in {town}", 3), ("from {town}", 1), ("{town}", 1), ("out in {town}", 0.5),
        ("on {street}", 1.5), ("{address}", 1), ("at {address}", 1), ("{address}, {town}", 1),
        ("over on {street}", 0.5), ("near {town}", 0.5), ("to {town}", 0.7),
    ),
    "NONE": (
        ("{medicine}", 1), ("my {medicine}", 1), ("on {medicine}", 1), ("with {medicine}", 1),
        ("the {medicine}", 1), ("take {medicine} and {medicine}", 1), ("{medicine},", 1),
    ),
    "DATE": (
        ("on {x}", 2), ("{x}", 1), ("since {x}", 0.7), ("{x},", 0.7), ("by {x}", 0.3),
    ),
}  # fmt: skip


def splice_piece(names: Names) -> Marked:
    """A few words with a value in them, to put into a turn; ``NONE`` marks what is no PHI."""
    rng = names.rng
    label = rng.choices(list(_SPLICES), weights=[5, 2.5, 2.5, 0.8, 1.2])[0]
    forms = _SPLICES[label]
    form = rng.choices([f for f, _ in forms], weights=[w for _, w in forms])[0]
    return fill(form, label, names)


@dataclass(slots=True)
class Splicer:
    """Puts names, places and dates at random places into the turns of real dialogues."""

    dialogues: list[list[str]]
    names: Names

    def document(self) -> Document:
        """Some turns of a dialogue, about half of them with something spliced in."""
        rng = self.names.rng
        turns = rng.choice(self.dialogues)
        length = min(len(turns), rng.randrange(4, 14))
        start = rng.randrange(len(turns) - length + 1)
        marked: list[Marked] = []
        for text in turns[start : start + length]:
            turn = self._splice(text) if rng.random() < 0.4 else (text, [])
            marked.append(_as_heard(turn, rng))
        return _join(marked)

    def _splice(self, text: str) -> Marked:
        rng = self.names.rng
        piece, spans = splice_piece(self.names)
        gaps = [m.start() for m in re.finditer(" ", text)]
        place = rng.choice([0, len(text), *gaps, *gaps])
        left = text[:place].rstrip()
        right = text[place:].lstrip()
        if left and not left.endswith((",", ".", "?", "!")) and rng.random() < 0.3:
            left += ","
        before = f"{left} " if left else ""
        after = f" {right}" if right else ""
        shift = len(before)
        return before + piece + after, [(s + shift, e + shift, t) for s, e, t in spans]


def fill(form: str, label: str, names: Names) -> Marked:
    """``form`` with its slots filled; adjoining parts of an address are one span."""
    plain: list[str] = []
    spans: list[tuple[int, int, str]] = []
    length = position = 0
    for match in _SLOT.finditer(form):
        plain.append(form[position : match.start()])
        length += match.start() - position
        value, kind = _value(match[1], label, names)
        spans.append((length, length + len(value), kind))
        plain.append(value)
        length += len(value)
        position = match.end()
    plain.append(form[position:])
    text = "".join(plain)
    merged: list[tuple[int, int, str]] = []
    for span in spans:
        if (
            merged
            and merged[-1][2] == span[2] == "LOCATION"
            and text[merged[-1][1] : span[0]] == ", "
        ):
            merged[-1] = (merged[-1][0], span[1], span[2])
        else:
            merged.append(span)
    return text, merged


def _value(slot: str, label: str, names: Names) -> tuple[str, str]:
    match slot:
        case "first":
            return _capital(names.first()), "PERSON"
        case "last":
            return _capital(names.last()), "PERSON"
        case "person":
            return names.person(), "PERSON"
        case "full":
            return f"{_capital(names.first())} {_capital(names.last())}", "PERSON"
        case "spelled":
            return names.spelled(), "PERSON"
        case "org":
            return names.organisation(), "ORGANIZATION"
        case "town":
            return names.town(), "LOCATION"
        case "street":
            return names.street(), "LOCATION"
        case "address":
            return names.address(), "LOCATION"
        case "date":
            return names.date(), "DATE"
        case "medicine":
            return names.medicine(), "NONE"
    draws = {"PERSON": names.person, "ORGANIZATION": names.organisation, "DATE": names.date}
    return draws.get(label, names.town)(), label


def _windows(turns: Sequence[Marked], rng: random.Random | None) -> list[Document]:
    """``turns`` as one document, or with ``rng`` as pieces: short texts make more updates."""
    if rng is None:
        return [_join(turns)]
    documents: list[Document] = []
    start = 0
    while start < len(turns):
        length = rng.randrange(5, 13)
        documents.append(_join(turns[start : start + length]))
        start += length
    return documents


def call_documents(call: dict[str, Any], rng: random.Random | None = None) -> list[Document]:
    """A written call as one document; with ``rng``, as pieces of some turns, partly as heard."""
    turns: list[Marked] = [
        (turn["text"], [(p["start"], p["end"], p["type"]) for p in turn["phi"]])
        for turn in call["turns"]
    ]
    if rng is not None:
        turns = [_as_heard(turn, rng) for turn in turns]
    return _windows(turns, rng)


def augment_call(call: dict[str, Any], names: Names) -> list[Document]:
    """A written call with other people, places and organisations in it, partly as heard."""
    rng = names.rng
    swapped: dict[tuple[str, str], str] = {}
    turns: list[Marked] = []
    for turn in call["turns"]:
        plain: list[str] = []
        spans: list[tuple[int, int, str]] = []
        position = length = 0
        for phi in sorted(turn["phi"], key=lambda p: int(p["start"])):
            before = turn["text"][position : phi["start"]]
            value = swap_value(turn["text"][phi["start"] : phi["end"]], phi["type"], names, swapped)
            plain += [before, value]
            length += len(before)
            spans.append((length, length + len(value), phi["type"]))
            length += len(value)
            position = phi["end"]
        plain.append(turn["text"][position:])
        turns.append(_as_heard(("".join(plain), spans), rng))
    return _windows(turns, rng)


_KEPT_WORDS = frozenset(
    "dr mr mrs ms miss nurse doctor van de la le del bin and of the with a as in for like".split()
)


def swap_value(value: str, label: str, names: Names, swapped: dict[tuple[str, str], str]) -> str:
    """Another value in place of a name, place or company; the same for the same in ``swapped``."""
    is_lower = value == value.lower()
    if label == "PERSON":
        words = value.split(" ")
        if len(re.findall(r"\b[A-Za-z]\b", value)) >= 2:
            made = names.spelled()
        else:
            parts = []
            for i, word in enumerate(words):
                core = word.lower().strip(".,")
                if core in _KEPT_WORDS or len(core) < 2:
                    parts.append(word)
                    continue
                key = (label, core)
                if key not in swapped:
                    is_last = i > 0 or (len(words) == 1 and names.rng.random() < 0.3)
                    swapped[key] = _capital(names.last() if is_last else names.first())
                parts.append(swapped[key])
            made = " ".join(parts)
    elif label in {"ORGANIZATION", "LOCATION"} and any(c.isalpha() for c in value):
        key = (label, value.lower())
        if key not in swapped:
            words = re.findall(r"[a-z]+", value.lower())
            numeric = any(w in ONES + TEENS + TENS or w == "oh" for w in words) or any(
                c.isdigit() for c in value
            )
            if label == "ORGANIZATION":
                swapped[key] = names.organisation()
            elif not numeric:
                is_street = bool(set(words) & set(_STREET_KINDS))
                swapped[key] = names.street() if is_street else names.town()
            elif set(words) & set(_STREET_KINDS):
                swapped[key] = names.address()
            else:
                swapped[key] = value
        made = swapped[key]
    else:
        return value
    return made.lower() if is_lower else made


TEMPLATES: tuple[str, ...] = tuple(
    line
    for line in (Path(__file__).with_name("lists") / "call_lines.txt")
    .read_text(encoding="utf-8")
    .splitlines()
    if line
)
"""Lines of calls with slots; ``|`` parts the turns of an exchange."""


def template_document(names: Names) -> Document:
    """A few exchanges from the templates, filled."""
    rng = names.rng
    turns: list[Marked] = []
    for line in rng.sample(TEMPLATES, 6):
        turns.extend(
            _as_heard(fill(part.strip(), "PERSON", names), rng) for part in line.split("|")
        )
    return _join(turns)
