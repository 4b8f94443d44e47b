"""Text as the recogniser writes it, and where its training text comes from.

The recogniser writes lower-case words with apostrophes: numbers as words, letters that
are spelled out as single letters, no punctuation. `speakable` turns ordinary text into a
`Line`: the tokens that a voice is given (with the punctuation that shapes its melody) and,
one for one, the words that the recogniser is to write.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

Part = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Line:
    """Something to say: `tokens[i]` is spoken where `words[i]` is to be written."""

    tokens: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the recogniser is to write."""
        return " ".join(self.words)

    @property
    def spoken(self) -> str:
        """What a voice is given: punctuated, capitals kept."""
        return " ".join(self.tokens)

    def __getitem__(self, part: slice) -> Line:
        """Return the words of that part of the line."""
        return Line(self.tokens[part], self.words[part])


# --- numbers ---------------------------------------------------------------------------

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS: Final = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """Return a number below a million in words: 214 is "two hundred fourteen"."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            head, rest = divmod(number, size)
            return f"{cardinal(head)} {name}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def ordinal(number: int) -> str:
    """Return an ordinal in words: 23 is "twenty third"."""
    *head, last = cardinal(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last.removesuffix("y") + ("ieth" if last.endswith("y") else "th")
    return " ".join([*head, last])


def year(number: int) -> str:
    """Return a year between 1100 and 2099 as it is said: 1982 is "nineteen eighty two"."""
    century, rest = divmod(number, 100)
    if 2000 <= number < 2010:
        return "two thousand" + (f" {cardinal(rest)}" if rest else "")
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} " + (f"oh {cardinal(rest)}" if rest < 10 else cardinal(rest))


def digits(text: str, zero: str = "zero") -> str:
    """Return the digits in the text one by one: "407" is "four zero seven"."""
    return " ".join(zero if d == "0" else _ONES[int(d)] for d in text if d.isdigit())


def _in_words(number: str) -> str:
    """Return a run of digits as it is most often said."""
    if len(number) == 4 and 1900 <= int(number) <= 2099:
        return year(int(number))
    if len(number) > 4 or (number.startswith("0") and len(number) > 1):
        return digits(number)
    return cardinal(int(number))


# --- from written to spoken ------------------------------------------------------------

_TITLES: Final = {
    "dr": "Doctor",
    "mr": "Mister",
    "mrs": "Missus",
    "ms": "Miss",
    "ok": "okay",
    "'cause": "because",
    "etc": "et cetera",
    "vs": "versus",
    "mg": "milligrams",
    "ml": "milliliters",
    "mcg": "micrograms",
}
_SYMBOLS: Final = {"&": " and ", "%": " percent ", "@": " at ", "+": " plus ", "=": " equals "}


def speakable(text: str) -> Line | None:
    """Return the text as a Line, or None where nothing of it can be said.

    Digits become words, titles and units are written out, capitals that stand alone or
    form an abbreviation become single letters, accents are folded.
    """
    text = unicodedata.normalize("NFKD", text).replace("\u2019", "'").replace("\u2018", "'")
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"\b(gon|wan|got) (na|ta)\b", r"\1\2", text)
    text = re.sub(r"\b(\w+) (n't|'s|'re|'ve|'ll|'m|'d)\b", r"\1\2", text)
    text = re.sub(r"[\u2013\u2014]|--+|\.\.\.+|\u2026", ", ", text)
    text = re.sub(r"\b(\w+)- ", r"\1, ", text)  # a word broken off
    text = re.sub(r"(\d),(\d{3})\b", r"\1\2", text)
    text = re.sub(r"\$(\d+)(?:\.(\d\d))?", r"\1 dollars \2", text)
    text = re.sub(r"\b(\d{1,2}):(\d\d)\b", _clock, text)
    text = re.sub(r"\b(\d{1,3})(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])), text)
    text = re.sub(r"(\d)\.(\d+)", lambda m: f"{m[1]} point {digits(m[2])}", text)
    text = re.sub(r"(\d)\s*/\s*(\d)", r"\1 over \2", text)
    text = re.sub(r"\d+", lambda m: f" {_in_words(m[0])} ", text)
    for symbol, name in _SYMBOLS.items():
        text = text.replace(symbol, name)
    shouted = text.isupper() and len(text.split()) > 3
    tokens: list[str] = []
    for raw in re.sub(r"[-/_()\[\]\"*#~^|<>{}\\]", " ", text).split():
        _add_token(tokens, raw, shouted=shouted)
    words = tuple(re.sub(r"[^a-z']", "", token.lower()) for token in tokens)
    if not words:
        return None
    return Line(tuple(tokens), words)


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), match[2]
    if minute == "00":
        return cardinal(hour)
    return f"{cardinal(hour)} " + (digits(minute, "oh") if minute < "10" else cardinal(int(minute)))


def _add_token(tokens: list[str], raw: str, *, shouted: bool) -> None:
    """Append what is said for one written word; a stray mark joins the word before it."""
    head, mark = re.fullmatch(r"(.*?)([.,;:!?]*)", raw, re.DOTALL).groups()  # type: ignore[union-attr]
    mark = mark[:1].replace(";", ",").replace(":", ",")
    known = _TITLES.get(head.lower())
    if known is not None:
        # The full stop of "Dr." ends no sentence.
        parts = known.split()
        mark = "" if mark == "." and parts[0] in ("Doctor", "Mister", "Missus", "Miss") else mark
    elif re.fullmatch(r"[A-Z]{2,4}s?", head) and not shouted and head not in ("OK", "AM", "PM"):
        parts = list(head.rstrip("s"))
    else:
        parts = re.sub(r"[^A-Za-z']", " ", head).split()
    # Quotation marks go; apostrophes inside or before a word stay ("'em", "o'clock").
    parts = [part.rstrip("'") if part.count("'") > 1 else part for part in parts]
    parts = [part for part in parts if any(c.isalpha() for c in part)]
    if parts:
        parts[-1] += mark
        tokens.extend(parts)
    elif mark and tokens and tokens[-1][-1].isalnum():
        tokens[-1] += mark


# --- cutting turns into pieces ---------------------------------------------------------

_SECONDS_PER_CHARACTER: Final = 0.068


def seconds(line: Line) -> float:
    """Return about how long the line takes to say, in seconds."""
    letters = sum(2.5 if len(word) == 1 else len(word) for word in line.words)
    return _SECONDS_PER_CHARACTER * (letters + len(line.words))


def pieces(line: Line, rng: np.random.Generator) -> Iterator[Line]:
    """Yield the line in order, cut into pieces of mostly 1 to 10 s, a few up to 18 s.

    A piece ends at the end of a sentence where one lies in reach, then at a comma.
    """
    start = 0
    while start < len(line.words):
        limit_s = float(
            rng.choice([rng.uniform(1.5, 6), rng.uniform(4, 11), 18], p=[0.42, 0.53, 0.05])
        )
        end, length_s, best, best_rank = start, 0.0, start, 0
        while end < len(line.words):
            length_s += seconds(line[end : end + 1])
            if length_s > limit_s and end > start:
                break
            end += 1
            rank = {".": 3, "?": 3, "!": 3, ",": 2}.get(line.tokens[end - 1][-1], 1)
            if rank >= best_rank and length_s > 0.4 * limit_s:
                best, best_rank = end, rank
        if end == len(line.words) or best == start:
            best = end
        yield line[start:best]
        start = best


# --- sources ---------------------------------------------------------------------------


def part_of(identifier: str) -> Part:
    """Return the part that a dialogue belongs to, fixed by its id: 8 of 10 are "train"."""
    bucket = hashlib.sha256(identifier.encode()).digest()[0] % 10
    return "test" if bucket == 0 else "dev" if bucket == 1 else "train"


def corpus_turns(folder: Path, part: Part) -> Iterator[Line]:
    """Yield the turns of the dialogues in `folder`/*.jsonl that belong to the part.

    Each line of a file is {"id": str, "turns": [{"text": str, ...}]}.
    """
    for path in sorted(folder.glob("*.jsonl")):
        for record in path.read_text(encoding="utf-8").splitlines():
            dialogue = json.loads(record)
            if part_of(dialogue["id"]) != part:
                continue
            for turn in dialogue["turns"]:
                text = re.sub(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}", " ", turn["text"])
                line = speakable(text)
                if line is not None:
                    yield line


_TURN: Final = re.compile(r"^(\w+)\s*(?:\{[^}]*\})?:\s*(.+)$")
_HEADER_KEYS: Final = frozenset(
    "call_type also direction after_hours urgency urgency_reason escalated empathy "
    "active_listening escalation_score notes".split()
)


def call_turns(folder: Path, part: Part) -> Iterator[Line]:
    """Yield the turns of the written calls in `folder`/[abcd]/*.txt that belong to the part.

    A call begins with "=== id" and a header that "---" ends; a turn is
    "speaker {labels}: text with [values|TYPE]". Labels and markup are not spoken.
    Folder e is kept for the evaluation of the whole product and is never read.
    """
    for path in sorted(folder.glob("[abcd]/*.txt")):
        identifier = ""
        for record in path.read_text(encoding="utf-8").splitlines():
            if record.startswith("==="):
                identifier = f"{path.parent.name}/{record.strip('= ')}"
            match = _TURN.match(record)
            if match is None or match[1] in _HEADER_KEYS or part_of(identifier) != part:
                continue
            line = speakable(_unmarked(match[2]))
            if line is not None:
                yield line


def _unmarked(text: str) -> str:
    return re.sub(r"\[([^\]|]*)\|[A-Z_]+\]", r"\1", text)
