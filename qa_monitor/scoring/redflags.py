"""The red-flag file, and the rules that tell an emergency from words that only sound like one.

The file lists patterns by flag and, by kind, the words of context that make a match something else
than an emergency of now. The way follows NegEx (Chapman, Bridewell, Hanbury, Cooper & Buchanan
2001) and ConText (Harkema, Dowling, Thornblade & Chapman 2009): a word of context reaches a few
words forward or back, never over the end of its sentence nor over a word that begins a new thought;
words that only look like context ("no longer") are masked first. Beyond them, a caller's yes or no
takes up what the agent asked. A third person's emergency of now counts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from qa_monitor.calls import Evidence, RedactedDialogue, RedactedTurn, Role
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.labels import AGENT_ROLES, LABELS, RED_FLAG

__all__ = ["FlagMatch", "FlagStatus", "RedFlags"]

_GAP_WORDS = 4
_BEFORE_REACH = 9
_JUST_BEFORE_REACH = 3
_AFTER_REACH = 6
_NEAR_REACH = 15
_ANSWER_WORDS = 4
_QUESTION_WORDS = 30
_MATCHES_A_PATTERN = 4


class FlagStatus(StrEnum):
    """What the words around a match make of it; only ``PRESENT`` is an emergency."""

    PRESENT = "present"
    NEGATED = "negated"
    HISTORICAL = "historical"
    HYPOTHETICAL = "hypothetical"
    IDIOM = "idiom"
    TOPIC = "topic"
    RESOLVED = "resolved"
    MINOR = "minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagMatch:
    """Words of a red flag: its code, the level they mean by themselves, and where they were said.

    ``is_answer`` tells that they were the agent's words and the evidence is the caller's answer.
    """

    code: str
    level: int
    evidence: Evidence
    is_answer: bool = False
    status: FlagStatus = FlagStatus.PRESENT


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    anchors: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Flag:
    code: str
    level: int
    patterns: tuple[_Pattern, ...]
    needs: tuple[_Pattern, ...]


@dataclass(frozen=True, slots=True)
class _Context:
    """The words of one kind of context; ``None`` where the file names none."""

    status: FlagStatus
    reach: int
    before: re.Pattern[str] | None
    just_before: re.Pattern[str] | None
    after: re.Pattern[str] | None
    alone_after: re.Pattern[str] | None
    near: re.Pattern[str] | None
    over: re.Pattern[str] | None
    mask: re.Pattern[str] | None
    unless: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class _Plain:
    """A turn in the words of the patterns: ``text`` is words and marks between single spaces.

    ``places[i]`` says where the i-th of them stood in the turn; ``starts[i]`` where in ``text``.
    """

    text: str
    starts: tuple[int, ...]
    places: tuple[tuple[int, int], ...]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Offsets into the turn of the words in ``text[start:end]``."""
        inside = [i for i, at in enumerate(self.starts) if start <= at < end]
        return self.places[inside[0]][0], max(self.places[i][1] for i in inside)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What has been said so far, as far as the rules remember it."""

    needs: set[int] = field(default_factory=set)
    waiting: dict[int, list[FlagMatch]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the agent's last turn was about.

    The flags of its last question, those of all its questions, and the codes that its advice named.
    """

    last: tuple[int, ...] = ()
    any: tuple[int, ...] = ()
    advised: frozenset[str] = frozenset()


class RedFlags:
    """The red-flag file at ``path``, or the one that ships.

    Raises ``ConfigError`` when it cannot be read or names what does not exist.
    """

    def __init__(self, path: Path | None = None) -> None:
        source = "the red-flag file that ships" if path is None else f"the red-flag file {path}"
        problem = None
        try:
            if path is None:
                text = (files("qa_monitor.scoring") / "red_flags.toml").read_text("utf-8")
            else:
                text = path.read_text("utf-8")
            self._load(tomllib.loads(text))
        except OSError as error:
            problem = error.strerror or "unreadable"
        except KeyError as error:
            problem = f"{error} is missing"
        except (AttributeError, TypeError, ValueError, re.error) as error:
            problem = str(error)
        if problem is not None:
            raise ConfigError(f"{source} is wrong: {problem}. Correct it, or remove the setting.")

    def _load(self, content: Mapping[str, Any]) -> None:
        self.version = str(content["version"])
        self._words = _Words(content.get("same", {}), content.get("fillers", ()))
        lists = _lists(content.get("lists", {}))
        compiler = _Compiler(self._words, lists)
        context = content["context"]
        self._ends = compiler.any_of(context["ends"])
        self._yes = compiler.any_of(context["yes"])
        self._no = compiler.any_of(context["no"])
        self._question = compiler.any_of(context["question"])
        self._own = compiler.any_of(context["own"])
        self._contexts = tuple(
            _context(FlagStatus(name), table, compiler)
            for name, table in context.items()
            if isinstance(table, dict)
        )
        self._negates = next(
            (c.just_before for c in self._contexts if c.status is FlagStatus.NEGATED), None
        )
        self._flags = tuple(_flag(entry, compiler) for entry in content["flag"])
        self._by_anchor: dict[str, list[tuple[int, int]]] = {}
        for number, flag in enumerate(self._flags):
            for rank, pattern in enumerate(flag.patterns):
                for anchor in pattern.anchors:
                    self._by_anchor.setdefault(anchor, []).append((number, rank))
        self._star_lengths = {len(anchor) - 1 for anchor in self._by_anchor if anchor[-1] == "*"}

    def find(self, dialogue: RedactedDialogue) -> tuple[FlagMatch, ...]:
        """The flags that are present, in the order in which they became known.

        What is found up to a turn does not depend on later turns.
        """
        return tuple(m for m in self.find_all(dialogue) if m.status is FlagStatus.PRESENT)

    def find_all(self, dialogue: RedactedDialogue) -> tuple[FlagMatch, ...]:
        """As ``find``, with those that are not present and what they are instead.

        Of one flag and level a turn has at most one match of each status.
        """
        found: list[FlagMatch] = []
        heard = _Heard()
        asked = _Asked()
        for turn in dialogue.turns:
            if turn.role is Role.SYSTEM:
                continue
            plain = self._words.plain(turn.text)
            if turn.role in AGENT_ROLES:
                asked = self._asked(plain)
                continue
            self._note_needs(plain, heard)
            said = list(self._said(turn, plain, asked))
            matches = [*said, *self._answered(turn, plain, asked, {number for number, _ in said})]
            asked = _Asked()
            for number, match in matches:
                if self._flags[number].needs and number not in heard.needs:
                    heard.waiting.setdefault(number, []).append(match)
                else:
                    found.append(match)
            for number in sorted(heard.needs & heard.waiting.keys()):
                found += heard.waiting.pop(number)
        return tuple(_without_repeats(found))

    def _note_needs(self, plain: _Plain, heard: _Heard) -> None:
        for number, flag in enumerate(self._flags):
            if number not in heard.needs and any(p.regex.search(plain.text) for p in flag.needs):
                heard.needs.add(number)

    def _said(
        self, turn: RedactedTurn, plain: _Plain, asked: _Asked
    ) -> Iterator[tuple[int, FlagMatch]]:
        for number, match in self._matches(plain):
            start, end = plain.place(match.start(), match.end())
            flag = self._flags[number]
            status = self._status(plain.text, match)
            # A caller who repeats advice drops its "if".
            if status is FlagStatus.PRESENT and flag.code in asked.advised:
                begins, ends = _sentence(plain.text, match)
                if not self._own.search(plain.text, begins, ends):
                    status = FlagStatus.HYPOTHETICAL
            yield (
                number,
                FlagMatch(
                    code=flag.code,
                    level=flag.level,
                    evidence=Evidence(turn_index=turn.index, start=start, end=end),
                    status=status,
                ),
            )

    def _matches(self, plain: _Plain) -> Iterator[tuple[int, re.Match[str]]]:
        """The flags, by number, whose patterns match, in the order of the file."""
        anchors: set[str] = set()
        for word in set(plain.text.split()):
            anchors.add(word)
            anchors.update(word[:length] + "*" for length in self._star_lengths)
        named = anchors & self._by_anchor.keys()
        candidates = {place for anchor in named for place in self._by_anchor[anchor]}
        for number, rank in sorted(candidates):
            regex = self._flags[number].patterns[rank].regex
            for match in islice(regex.finditer(plain.text), _MATCHES_A_PATTERN):
                yield number, match

    # --- questions and answers -------------------------------------------------------------------

    def _asked(self, plain: _Plain) -> _Asked:
        """What the questions at the end of an agent's turn ask about, and its advice names."""
        begins, ends = self._questions(plain.text)
        last = max(plain.text.rfind(mark, begins, ends) for mark in "?|")
        flags: dict[int, bool] = {}
        advised: set[str] = set()
        for number, match in self._matches(plain):
            status = self._status(plain.text, match)
            if status is FlagStatus.HYPOTHETICAL:
                advised.add(self._flags[number].code)
            elif status is FlagStatus.PRESENT and begins <= match.start() and match.end() <= ends:
                flags[number] = flags.get(number, False) or match.start() > last
        last_flags = tuple(number for number, is_last in flags.items() if is_last)
        return _Asked(last_flags, tuple(flags), frozenset(advised))

    def _questions(self, text: str) -> tuple[int, int]:
        """Where the questions stand with which ``text`` ends; nowhere when it ends otherwise."""
        if "?" in text:
            return _questions_start(text), text.rindex("?")
        question = self._question.search(text, _last_words_start(text, _QUESTION_WORDS))
        return (len(text), len(text)) if question is None else (question.start(), len(text))

    def _answered(
        self, turn: RedactedTurn, plain: _Plain, asked: _Asked, said: set[int]
    ) -> Iterator[tuple[int, FlagMatch]]:
        """The flags that the agent asked about, present or negated as the caller answers."""
        if not asked.any or not plain.text:
            return
        head = " ".join(_sentence_head(plain.text).split()[:_ANSWER_WORDS])
        yes, no = self._yes.search(head), self._no.search(head)
        if no is not None and (yes is None or no.start() <= yes.start()):
            numbers, status = asked.any, FlagStatus.NEGATED
        elif yes is not None and yes.start() == 0 and no is None:
            numbers, status = asked.last, FlagStatus.PRESENT
            codes = {self._flags[number].code for number in numbers}
            # A yes to several questions at once says little when more words say which.
            if len(codes) > 1 and len(plain.text.split()) > _ANSWER_WORDS:
                return
        else:
            return
        for number in numbers:
            if number in said:
                continue
            flag = self._flags[number]
            yield (
                number,
                FlagMatch(
                    code=flag.code,
                    level=flag.level,
                    evidence=Evidence(
                        turn_index=turn.index,
                        start=plain.places[0][0],
                        end=max(end for _, end in plain.places),
                    ),
                    is_answer=True,
                    status=status,
                ),
            )

    # --- context ---------------------------------------------------------------------------------

    def _status(self, text: str, match: re.Match[str]) -> FlagStatus:
        start, end = _sentence(text, match)
        clause = self._before(text[start : match.start()])
        just_before = _last_words(clause, _JUST_BEFORE_REACH)
        rest = text[match.end() : end]
        after = self._after(rest)
        alone_after = rest.removeprefix(" ,").split(",")[0].strip()
        near_start = start + _last_words_start(text[start : match.start()], _NEAR_REACH)
        near = text[near_start : match.end() + _first_words_end(rest, _NEAR_REACH)]
        for context in self._contexts:
            if context.over is not None and any(
                _touches(other, match) for other in context.over.finditer(text, start, end)
            ):
                return context.status
            if context.unless is not None and context.unless.search(near):
                continue
            before = _last_words(clause, context.reach)
            if (
                _search(context.before, _masked(before, context))
                or _search(context.just_before, _masked(just_before, context))
                or _search(context.after, after)
                or (context.alone_after and context.alone_after.fullmatch(alone_after))
                or _search(context.near, near)
            ):
                return context.status
        if self._negates is not None and any(
            gap and self._negates.search(gap) for gap in match.groups()
        ):
            return FlagStatus.NEGATED
        return FlagStatus.PRESENT

    def _before(self, before: str) -> str:
        """The part of ``before`` whose words still reach what follows it."""
        ends = list(self._ends.finditer(before))
        return before[ends[-1].start() :] if ends else before

    def _after(self, after: str) -> str:
        """The part of ``after`` whose words reach back to what comes before it."""
        end = self._ends.search(after)
        text = after[: end.start()] if end else after
        return text[: _first_words_end(text, _AFTER_REACH)]


def _touches(other: re.Match[str], match: re.Match[str]) -> bool:
    """Whether ``other`` overlaps words of the pattern of ``match``, not only those of a gap."""
    if other.end() <= match.start() or match.end() <= other.start():
        return False
    gaps = (match.span(group) for group in range(1, match.re.groups + 1))
    return not any(start <= other.start() and other.end() <= end for start, end in gaps)


def _sentence(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the sentence of ``match`` begins and ends."""
    start = max(text.rfind(mark, 0, match.start()) for mark in "|?") + 1
    ends = [at for mark in "|?" if (at := text.find(mark, match.end())) >= 0]
    return start, min(ends, default=len(text))


def _search(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is not None and pattern.search(text) is not None


def _masked(text: str, context: _Context) -> str:
    return text if context.mask is None else context.mask.sub("...", text)


def _last_words_start(text: str, count: int) -> int:
    words = list(re.finditer(r"[^\s,]+", text))
    return words[-count].start() if len(words) >= count else 0


def _last_words(text: str, count: int) -> str:
    return text[_last_words_start(text, count) :].strip()


def _first_words_end(text: str, count: int) -> int:
    words = list(re.finditer(r"[^\s,]+", text))
    return words[count - 1].end() if len(words) >= count else len(text)


def _sentence_head(text: str) -> str:
    return re.split(r" [|?]", text, maxsplit=1)[0]


def _questions_start(text: str) -> int:
    """Where the run of questions begins that ends with the last one of ``text``."""
    begins = text.rindex("?")
    while True:
        before = max(text.rfind(mark, 0, begins) for mark in "?|")
        if before < 0:
            return 0
        begins = before
        if text[before] == "|":
            return before + 1


def _without_repeats(matches: Sequence[FlagMatch]) -> Iterator[FlagMatch]:
    seen: set[tuple[str, int, int, FlagStatus]] = set()
    for match in matches:
        key = (match.code, match.level, match.evidence.turn_index, match.status)
        if key not in seen:
            seen.add(key)
            yield match


# --- words ---------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"<[A-Za-z_]+?(?:_\d+)?>(?:['’][sS])?"
    r"|\d+(?:[.:]\d+)*"
    r"|[^\W\d_]+(?:['’][^\W\d_]+)*['’]?"
    r"|[.?!;…|]+|[,:()–—-]"
)
_CONTRACTED = frozenset("he she it that there here what who where when how let one".split())
_PAUSE, _STOP, _ASKS = ",", "|", "?"


class _Words:
    """Brings text into the words of the patterns, after the file's ``same`` and ``fillers``."""

    def __init__(self, same: Mapping[str, Sequence[str]], fillers: Sequence[str]) -> None:
        self._forms: dict[str, list[tuple[tuple[str, ...], str | None]]] = {}
        forms = [(other, word) for word, others in same.items() for other in others]
        for form, word in [*forms, *((filler, None) for filler in fillers)]:
            words = tuple(token for token, _ in _tokens(form))
            if not words:
                raise ValueError("an entry of `same` or `fillers` is empty")
            self._forms.setdefault(words[0], []).append((words, word))
        for choices in self._forms.values():
            choices.sort(key=lambda choice: -len(choice[0]))

    def plain(self, text: str) -> _Plain:
        """``text`` in plain words, without fillers and repeated words."""
        words: list[str] = []
        places: list[tuple[int, int]] = []
        for word, start, end in self._canonical(list(_tokens(text))):
            if words and words[-1] == word:
                places[-1] = (places[-1][0], end)
            else:
                words.append(word)
                places.append((start, end))
        starts = [0]
        for word in words:
            starts.append(starts[-1] + len(word) + 1)
        return _Plain(" ".join(words), tuple(starts[: len(words)]), tuple(places))

    def phrase(self, text: str) -> list[str]:
        """The plain words of a phrase of the file; a word may end with a star."""
        words: list[str] = []
        for has_star, run in groupby(text.split(), lambda word: "*" in word):
            if has_star:
                words += run
            else:
                words += (word for word, _, _ in self._canonical(list(_tokens(" ".join(run)))))
        if not words or any("*" in word[:-1] for word in words):
            raise ValueError(f"{text!r} has no words, or a star that does not end its word")
        return words

    def _canonical(
        self, tokens: Sequence[tuple[str, tuple[int, int]]]
    ) -> Iterator[tuple[str, int, int]]:
        position = 0
        while position < len(tokens):
            word, (start, end) = tokens[position]
            for form, same in self._forms.get(word, ()):
                last = position + len(form)
                if tuple(token for token, _ in tokens[position:last]) == form:
                    position = last
                    if same is not None:
                        for part in same.split():
                            yield part, start, tokens[last - 1][1][1]
                    break
            else:
                position += 1
                yield word, start, end


def _tokens(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for match in _TOKEN.finditer(text):
        token = match[0].lower().replace("’", "'")
        if token[0] == "<":
            token = re.sub(r"_\d+>$", ">", token)
        elif token[0] in ".?!;…|":
            token = _ASKS if "?" in token else _STOP
        elif token[0] in ",:()–—-":
            # A hyphen inside a word parts it: "short-of-breath" is three words.
            if token == "-" and not _is_apart(text, match):
                continue
            token = _PAUSE
        elif token.endswith("in'"):
            token = token[:-1] + "g"
        # "mouth's", "mom's" and "<PERSON_1>'s" are their noun, whatever the 's stands for.
        if token.endswith("'s") and token[:-2] not in _CONTRACTED:
            token = re.sub(r"_\d+>$", ">", token[:-2])
        yield token.rstrip("'") or token, match.span()


def _is_apart(text: str, match: re.Match[str]) -> bool:
    return text[max(match.start() - 1, 0)] == " " or text[match.end() : match.end() + 1] == " "


# --- the file ------------------------------------------------------------------------------------


def _flag(entry: Mapping[str, Any], compiler: _Compiler) -> _Flag:
    code = str(entry["code"])
    if code not in LABELS[RED_FLAG]:
        raise ValueError(f"there is no flag {code!r}")
    level = int(entry["level"])
    if level not in (1, 2, 3):
        raise ValueError(f"flag {code!r} has level {level}; levels are 1, 2 and 3")
    return _Flag(
        code=code,
        level=level,
        patterns=tuple(compiler.pattern(p) for p in entry["patterns"]),
        needs=tuple(compiler.pattern(p) for p in entry.get("needs", ())),
    )


def _context(status: FlagStatus, table: Mapping[str, Any], compiler: _Compiler) -> _Context:
    keys = ("before", "just_before", "after", "alone_after", "near", "over", "mask", "unless")
    unknown = set(table) - {"reach", *keys}
    if unknown:
        raise ValueError(f"context {status.value!r} has no {min(unknown)!r}")
    if status is FlagStatus.PRESENT:
        raise ValueError("there is no context that makes a match present")
    return _Context(
        status,
        int(table.get("reach", _BEFORE_REACH)),
        *(compiler.any_of(table[key]) if table.get(key) else None for key in keys),
    )


def _lists(table: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The named lists as alternatives; a list may use lists that stand above it."""
    lists: dict[str, str] = {}
    for name, words in table.items():
        lists[name] = _fill("|".join(words), lists)
    return lists


def _fill(pattern: str, lists: Mapping[str, str]) -> str:
    """``pattern`` with the lists it names written out."""

    def words(name: re.Match[str]) -> str:
        if name[1] not in lists:
            raise ValueError(f"there is no list {name[1]!r}")
        return f"({lists[name[1]]})"

    return re.sub(r"\{(\w*)\}", words, pattern)


class _Compiler:
    """Makes regular expressions, over plain words, of the patterns of the file.

    A pattern is alternatives of sequences of words, gaps and bracketed alternatives.
    """

    def __init__(self, words: _Words, lists: Mapping[str, str]) -> None:
        self._words = words
        self._lists = lists

    def any_of(self, patterns: Iterable[str]) -> re.Pattern[str]:
        """What matches when one of ``patterns`` does."""
        return re.compile("|".join(self._regex(pattern)[0] for pattern in patterns))

    def pattern(self, pattern: str) -> _Pattern:
        """``pattern``; the words in its gaps are the groups of a match."""
        regex, anchors = self._regex(pattern)
        if not anchors:
            raise ValueError(f"the pattern {pattern!r} has no word that must be said")
        return _Pattern(re.compile(regex), anchors)

    def _regex(self, pattern: str) -> tuple[str, frozenset[str]]:
        """The expression, and words of which a text that matches has one at least."""
        tokens = re.findall(r"\.\.\d*|\)\?|[()|]|[^\s()|]+", _fill(pattern.lower(), self._lists))
        body, anchors, position = self._alternatives(tokens, 0, pattern)
        if position < len(tokens):
            raise ValueError(f"the brackets of {pattern!r} do not close")
        return rf"(?<!\S){body}(?!\S)", anchors

    def _alternatives(
        self, tokens: Sequence[str], position: int, pattern: str
    ) -> tuple[str, frozenset[str], int]:
        bodies: list[str] = []
        anchors: list[frozenset[str]] = []
        while True:
            body, some, position = self._sequence(tokens, position, pattern)
            bodies.append(body)
            anchors.append(some)
            if position == len(tokens) or tokens[position] != "|":
                break
            position += 1
        return "(?:" + "|".join(bodies) + ")", _any_word(anchors), position

    def _sequence(
        self, tokens: Sequence[str], position: int, pattern: str
    ) -> tuple[str, frozenset[str], int]:
        body, glue = "", ""
        anchors: frozenset[str] = frozenset()
        while position < len(tokens) and tokens[position] not in ("|", ")", ")?"):
            token = tokens[position]
            position += 1
            if token.startswith(".."):
                if not body:
                    raise ValueError(f"a part of the pattern {pattern!r} begins with a gap")
                glue = _gap(int(token[2:] or _GAP_WORDS))
                continue
            is_optional = False
            if token == "(":
                part, some, position = self._alternatives(tokens, position, pattern)
                if position == len(tokens):
                    raise ValueError(f"the brackets of {pattern!r} do not close")
                is_optional = tokens[position] == ")?"
                position += 1
            else:
                run = [token]
                while position < len(tokens) and not re.match(r"[()|]|\.\.", tokens[position]):
                    run.append(tokens[position])
                    position += 1
                phrase = self._words.phrase(" ".join(run))
                part, some = _GLUE.join(map(_word, phrase)), frozenset({_rarest(phrase)})
            if not is_optional:
                body += glue + part
                anchors = max(anchors, some, key=_rarity)
                glue = _GLUE
            elif glue:
                body += f"(?:{glue}{part})?"
                glue = _GLUE
            else:
                body += f"(?:{part} )?"
        if glue != _GLUE:
            raise ValueError(f"a part of the pattern {pattern!r} is empty or ends with a gap")
        return body, anchors, position


_GLUE = "(?: ,)? "


def _gap(words: int) -> str:
    return rf"((?:(?: ,)? [^\s,|?]+){{0,{words}}}?)(?: ,)? "


def _word(word: str) -> str:
    return re.escape(word).replace(r"\*", r"[^\s,|?]*")


def _rarest(phrase: Sequence[str]) -> str:
    return max(phrase, key=lambda word: len(word.rstrip("*")))


def _any_word(choices: Sequence[frozenset[str]]) -> frozenset[str]:
    """Words of which one is said whatever the choice; none when a choice has none."""
    return frozenset().union(*choices) if all(choices) else frozenset()


def _rarity(words: frozenset[str]) -> int:
    """Longer words are rarer; a part is as rare as its commonest alternative."""
    return min((len(word.rstrip("*")) for word in words), default=-1)
