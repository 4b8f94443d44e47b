"""The red-flag file, and the rules that tell an emergency from words that only sound like one.

The file lists patterns by flag. A match counts when it is present: not negated, not of the past,
not hypothetical, not an idiom. The way follows ConText (Harkema, Dowling, Thornblade & Chapman
2009): words that qualify reach from where they stand to the end of their clause. Third persons'
emergencies count. An agent's question about a flag counts when the caller says yes to it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from qa_monitor.calls import Evidence, RedactedDialogue, RedactedTurn
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.labels import AGENT_ROLES, LABELS, RED_FLAG

__all__ = ["FlagMatch", "RedFlags", "pattern_regex"]

_GAP_WORDS = 4
_BETWEEN = r"[^\w.?!;<>]+"
_SENTENCE_END = re.compile(r"[.?!;]+(?=\s|$)|\s[–—-]+\s")
_WORD = re.compile(r"[\w'<>]+")
_NEGATION_REACH = 7
_AFTER_REACH = 3
_YES_REACH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagMatch:
    """A red flag that is present: its code, the level it means by itself, and where it was said.

    ``is_answer`` tells that it was the agent's word and the caller's yes.
    """

    code: str
    level: int
    evidence: Evidence
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class _Flag:
    code: str
    level: int
    patterns: tuple[re.Pattern[str], ...]
    needs: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class _Context:
    negation: re.Pattern[str]
    not_a_negation: re.Pattern[str]
    negation_after: re.Pattern[str]
    history: re.Pattern[str]
    present: re.Pattern[str]
    hypothetical: re.Pattern[str]
    idiom: re.Pattern[str]
    ends: re.Pattern[str]
    yes: re.Pattern[str]
    no: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What has been said so far, as far as the rules remember it."""

    needs: set[int] = field(default_factory=set)
    waiting: dict[int, list[FlagMatch]] = field(default_factory=dict)


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
            content = tomllib.loads(text)
            self.version = str(content["version"])
            self._context = _Context(
                **{
                    name: _any_of(content["context"][name])
                    for name in _Context.__dataclass_fields__
                }
            )
            self._flags = tuple(_flag(entry) for entry in content["flag"])
        except OSError as error:
            problem = error.strerror or "unreadable"
        except (KeyError, TypeError, ValueError, re.error) as error:
            problem = str(error)
        if problem is not None:
            raise ConfigError(f"{source} is wrong: {problem}. Correct it, or remove the setting.")

    def find(self, dialogue: RedactedDialogue) -> tuple[FlagMatch, ...]:
        """The flags that are present, in the order in which they became known.

        What is found up to a turn does not depend on later turns.
        """
        found: list[FlagMatch] = []
        heard = _Heard()
        asked: list[tuple[_Flag, int]] = []
        for turn in dialogue.turns:
            text = _fold(turn.text)
            if turn.role in AGENT_ROLES:
                asked = self._asked(text)
                continue
            self._note_needs(text, heard)
            matches = [*self._said(turn, text), *self._answered(turn, text, asked)]
            asked = []
            for number, match in matches:
                if self._flags[number].needs is not None and number not in heard.needs:
                    heard.waiting.setdefault(number, []).append(match)
                else:
                    found.append(match)
            for number in sorted(heard.needs & heard.waiting.keys()):
                found += heard.waiting.pop(number)
        return tuple(_without_repeats(found))

    def _note_needs(self, text: str, heard: _Heard) -> None:
        for number, flag in enumerate(self._flags):
            if flag.needs is not None and flag.needs.search(text):
                heard.needs.add(number)

    def _said(self, turn: RedactedTurn, text: str) -> Iterator[tuple[int, FlagMatch]]:
        for number, flag in enumerate(self._flags):
            for pattern in flag.patterns:
                match = next((m for m in pattern.finditer(text) if self._is_present(text, m)), None)
                if match is not None:
                    yield (
                        number,
                        FlagMatch(
                            code=flag.code,
                            level=flag.level,
                            evidence=Evidence(
                                turn_index=turn.index, start=match.start(), end=match.end()
                            ),
                        ),
                    )
                    break

    def _asked(self, text: str) -> list[tuple[_Flag, int]]:
        """The flags that the last question of an agent's turn asks about."""
        if "?" in text:
            text = text[: text.rindex("?")]
            text = text[max(text.rfind("."), text.rfind("!"), text.rfind("?")) + 1 :]
        elif not re.search(r"\b(is|are|do|does|did|any|have|has|can|feel\w*)\b", text):
            return []
        return [
            (flag, number)
            for number, flag in enumerate(self._flags)
            if any(pattern.search(text) for pattern in flag.patterns)
        ]

    def _answered(
        self, turn: RedactedTurn, text: str, asked: Sequence[tuple[_Flag, int]]
    ) -> Iterator[tuple[int, FlagMatch]]:
        if not asked or not text.strip():
            return
        opening = [match for match, _ in zip(_WORD.finditer(text), range(_YES_REACH), strict=False)]
        if not opening:
            return
        head = text[opening[0].start() : opening[-1].end()]
        yes, no = self._context.yes.search(head), self._context.no.search(head)
        if yes is None or (no is not None and no.start() <= yes.start()) or "but no" in text:
            return
        if re.search(r"\b(no|not|don't|doesn't|none|isn't|ain't)\b", text[: len(head) + 12]):
            return
        for flag, number in asked:
            yield (
                number,
                FlagMatch(
                    code=flag.code,
                    level=flag.level,
                    evidence=Evidence(
                        turn_index=turn.index, start=opening[0].start(), end=len(turn.text.rstrip())
                    ),
                    is_answer=True,
                ),
            )

    def _is_present(self, text: str, match: re.Match[str]) -> bool:
        context = self._context
        start, end = _sentence(text, match)
        sentence = text[start:end]
        if any(
            idiom.start() < match.end() - start and idiom.end() > match.start() - start
            for idiom in context.idiom.finditer(sentence)
        ):
            return False
        before = self._reach_before(text[start : match.start()])
        if context.hypothetical.search(before):
            return False
        near = " ".join(before.split()[-_NEGATION_REACH:])
        if context.negation.search(context.not_a_negation.sub(" ", near)):
            return False
        after = text[match.end() : end]
        tail = " ".join(after.split()[:_AFTER_REACH])
        if re.match(r"\W*(?:" + context.negation_after.pattern + r")\W*$", tail):
            return False
        is_past = context.history.search(sentence) is not None
        return not is_past or context.present.search(sentence) is not None

    def _reach_before(self, before: str) -> str:
        """The part of ``before`` whose qualifying words still reach what follows it."""
        ends = list(self._context.ends.finditer(before))
        return before[ends[-1].start() :] if ends else before


def _sentence(text: str, match: re.Match[str]) -> tuple[int, int]:
    start, end = 0, len(text)
    for mark in _SENTENCE_END.finditer(text):
        if mark.end() <= match.start():
            start = mark.end()
        elif mark.start() >= match.end():
            end = mark.start()
            break
    return start, end


def _without_repeats(matches: Sequence[FlagMatch]) -> Iterator[FlagMatch]:
    seen: set[tuple[str, int, int]] = set()
    for match in matches:
        key = (match.code, match.level, match.evidence.turn_index)
        if key not in seen:
            seen.add(key)
            yield match


def _fold(text: str) -> str:
    """``text`` in lower case with typewriter apostrophes, of the same length."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lowered.replace("’", "'")


# --- the file ------------------------------------------------------------------------------------


def _flag(entry: dict[str, Any]) -> _Flag:
    code = str(entry["code"])
    if code not in LABELS[RED_FLAG]:
        raise ValueError(f"there is no flag {code!r}")
    level = int(entry["level"])
    if level not in (1, 2, 3):
        raise ValueError(f"flag {code!r} has level {level}; levels are 1, 2 and 3")
    return _Flag(
        code=code,
        level=level,
        patterns=tuple(re.compile(pattern_regex(p)) for p in entry["patterns"]),
        needs=_any_of(entry["needs"]) if "needs" in entry else None,
    )


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(pattern_regex(pattern) for pattern in patterns))


def pattern_regex(pattern: str) -> str:
    """The regular expression, over lower-case text, of a pattern of the red-flag file.

    Raises ``ValueError`` when the pattern is empty or its brackets do not close.
    """
    if not pattern.strip():
        raise ValueError("a pattern is empty")
    if pattern.count("(") != pattern.count(")"):
        raise ValueError(f"the brackets of {pattern!r} do not close")
    parts: list[str] = []
    glue = ""
    for token in re.findall(r"\.\.\d*|\([^()]*\)\??|[^\s()]+", pattern.lower().strip()):
        if token.startswith(".."):
            words = int(token[2:] or _GAP_WORDS)
            glue = rf"(?:{_BETWEEN}[\w'<>]+){{0,{words}}}?{_BETWEEN}"
            continue
        is_optional = token.endswith("?")
        if token.startswith("("):
            choices = [choice for choice in token.strip("()?").split("|") if choice.strip()]
            body = "(?:" + "|".join(_words(choice) for choice in choices) + ")"
        else:
            body = _words(token.rstrip("?"))
        if is_optional:
            parts.append(f"(?:{glue}{body})?")
        else:
            parts.append(glue + body)
        glue = _BETWEEN
    return "".join(parts)


def _words(phrase: str) -> str:
    words = []
    for word in phrase.split():
        escaped = re.escape(word).replace(r"\*", r"[\w'-]*")
        left = "" if word.startswith(("*", "<")) else r"\b"
        right = "" if word.endswith(("*", ">", "'")) else r"(?![\w'])"
        words.append(left + escaped + right)
    return _BETWEEN.join(words)
