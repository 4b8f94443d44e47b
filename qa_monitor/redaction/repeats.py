"""Values and names found once in a call, found again wherever they are said."""

from __future__ import annotations

from collections.abc import Iterable

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.locales import Locale
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.spoken import Run, find_runs
from qa_monitor.redaction.tagger import TagProbabilities

__all__ = ["find_repeats"]

RECOGNIZER = "repeated_values"
_POSSIBLE = 0.1

_NAMED = frozenset({EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION})
_DIGITAL = frozenset(EntityType) - _NAMED - {EntityType.EMAIL, EntityType.URL, EntityType.AGE}


def find_repeats(
    call: CallText,
    found: Iterable[Found],
    settings: RecognizerSettings,
    tags: TagProbabilities | None = None,
) -> list[Found]:
    """Other mentions of what ``found`` holds: names by word, places by phrase, digits by piece.

    Where ``tags`` think a name possible, an ordinary word needs no capital to be one again.
    """
    first_pass = list(found)
    covered = _Cover(call, first_pass)
    repeats = _names(call, first_pass, covered, settings, tags)
    repeats.extend(_phrases(call, first_pass, covered, settings))
    repeats.extend(_digits(call, first_pass, covered, settings))
    repeats.extend(_ages(call, first_pass, covered))
    return repeats


class _Cover:
    """Which tokens a finding touches already."""

    def __init__(self, call: CallText, found: Iterable[Found]) -> None:
        self._tokens: set[int] = set()
        for f in found:
            self._tokens.update(call.tokens_between(f.start, f.end))

    def __contains__(self, index: int) -> bool:
        return index in self._tokens


def _bare(word: str) -> str:
    return word[:-2] if word.endswith("'s") else word


def _make(call: CallText, first: int, last: int, entity_type: EntityType, score: float) -> Found:
    end = call.tokens[last].end
    if entity_type in _NAMED and call.tokens[last].norm.endswith("'s"):
        end -= 2
    return Found(
        start=call.tokens[first].start,
        end=end,
        entity_type=entity_type,
        score=score,
        recognizer=RECOGNIZER,
        context="said before",
    )


def _names(
    call: CallText,
    found: list[Found],
    covered: _Cover,
    settings: RecognizerSettings,
    tags: TagProbabilities | None,
) -> list[Found]:
    talk, said = call.locale.talk, call.locale.names
    words: set[str] = set()
    for f in found:
        if f.entity_type is not EntityType.PERSON:
            continue
        indices = call.tokens_between(f.start, f.end)
        letters = [call.tokens[i].norm for i in indices if len(call.tokens[i].norm) == 1]
        spelled = "".join(letter for letter in letters if letter.isalpha())
        if len(spelled) >= 3:
            words.add(spelled)
        if f.value and f.value.isalpha() and len(f.value) >= 3:
            words.add(f.value)
        for i in indices:
            word = _bare(call.tokens[i].norm)
            is_word = len(word) >= 3 and word.isalpha() and word not in talk.words
            if is_word and word not in said.titles:
                words.add(word)
    words -= settings.allowed_words
    repeats: list[Found] = []
    for index, token in enumerate(call.tokens):
        word = _bare(token.norm)
        if word not in words or index in covered:
            continue
        is_possible = tags is not None and tags.phi[index] >= _POSSIBLE
        if talk.is_common(word) and not is_possible and not _is_name_here(call, index):
            continue
        if word in said.words and call.is_cased(token.turn) and not token.is_capitalised:
            # "a grace period" in a call with Grace
            continue
        repeats.append(_make(call, index, index, EntityType.PERSON, 0.7))
    return repeats


def _is_name_here(call: CallText, index: int) -> bool:
    """Whether an ordinary word stands as a name: a capital in a sentence, or a title before."""
    said = call.locale.names
    token = call.tokens[index]
    before = call.norm(index - 1, token.turn)
    if before == "." and call.norm(index - 2, token.turn) in said.titles:
        before = call.norm(index - 2, token.turn)
    if before in said.titles and before not in said.weak_repeat_titles:
        return True
    if not token.is_capitalised or (token.text.isupper() and len(token.text) > 1):
        return False
    return bool(before) and before not in {".", "?", "!", ":", "…"}


def _phrases(
    call: CallText, found: list[Found], covered: _Cover, settings: RecognizerSettings
) -> list[Found]:
    """Organisations and places said again, whole or by their first words."""
    locale = call.locale
    phrases: dict[tuple[str, ...], EntityType] = {}
    for f in found:
        if f.entity_type not in {EntityType.ORGANIZATION, EntityType.LOCATION}:
            continue
        words = tuple(
            _bare(call.tokens[i].norm)
            for i in call.tokens_between(f.start, f.end)
            if call.tokens[i].norm not in {",", "."}
            and call.tokens[i].norm not in locale.talk.definite_article
        )
        for length in range(1, len(words) + 1):
            prefix = words[:length]
            if prefix[-1] in {"-", "'", "&"} or prefix[-1] in locale.organisations.inner_joints:
                continue
            if _is_distinctive(locale, prefix, len(words)):
                phrases.setdefault(prefix, f.entity_type)
        if f.entity_type is EntityType.LOCATION:
            for start in range(1, len(words)):
                if _is_distinctive(locale, words[start:], len(words)) and all(
                    w.isalpha() for w in words[start:]
                ):
                    phrases.setdefault(words[start:], f.entity_type)
    by_head: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrases:
        by_head.setdefault(phrase[0], []).append(phrase)
    for candidates in by_head.values():
        candidates.sort(key=len, reverse=True)
    repeats: list[Found] = []
    index = 0
    while index < len(call.tokens):
        token = call.tokens[index]
        matched = 0
        for phrase in by_head.get(_bare(token.norm), ()):
            if all(
                _bare(call.norm(index + i, token.turn)) == word for i, word in enumerate(phrase)
            ):
                if len(phrase) == 1 and (
                    phrase[0] in settings.allowed_words
                    or (locale.talk.is_common(phrase[0]) and not _is_name_here(call, index))
                ):
                    continue
                if not all(index + i in covered for i in range(len(phrase))):
                    repeats.append(
                        _make(call, index, index + len(phrase) - 1, phrases[phrase], 0.65)
                    )
                matched = len(phrase)
                break
        index += max(matched, 1)
    return repeats


def _is_distinctive(locale: Locale, words: tuple[str, ...], whole: int) -> bool:
    talk, numbers, generic = locale.talk, locale.numbers.said, locale.organisations.generic
    if len(words) == 1:
        word = words[0]
        if word in generic or len(word) < 4 or not word.isalpha():
            return False
        return whole == 1 or not talk.is_common(word)
    telling = [w for w in words if w.isalpha() and w not in talk.words and w not in numbers]
    return any(w not in generic for w in telling) or (len(words) == whole and bool(telling))


def _digits(
    call: CallText, found: list[Found], covered: _Cover, settings: RecognizerSettings
) -> list[Found]:
    """Digits of a value said again, or ahead of it, at least three in a row."""
    values: dict[str, EntityType] = {}
    for f in found:
        value = f.value or _characters(call, f)
        is_number = value.isalnum() and sum(c.isdecimal() for c in value) >= 3
        if is_number and f.entity_type in _DIGITAL | {EntityType.LOCATION}:
            values.setdefault(value, f.entity_type)
    if not values:
        return []
    repeats: list[Found] = []
    for run in find_runs(call):
        if all(i in covered for i in range(run.first, run.last + 1)):
            continue
        chars = run.chars
        if run.digits < 3 or chars in settings.allowed_values:
            continue
        following = call.norm(run.last + 1, run.turn)
        if following in call.locale.quantities.after:
            continue
        if run.digits == 3 and not (run.singles == 3 or _is_written(call, run)):
            continue
        for value, entity_type in values.items():
            if run.digits == 3 and entity_type is EntityType.LOCATION:
                continue
            if chars in value or (len(value) >= 4 and value in chars):
                repeats.append(_make(call, run.first, run.last, entity_type, 0.65))
                break
    return repeats


def _characters(call: CallText, found: Found) -> str:
    """The digits and letters said within ``found``."""
    return "".join(
        run.chars
        for run in find_runs(call)
        if call.tokens[run.first].start >= found.start and call.tokens[run.last].end <= found.end
    )


def _ages(call: CallText, found: list[Found], covered: _Cover) -> list[Found]:
    """An age over 89 said again as a number by itself."""
    ages = {
        tuple(
            call.tokens[i].norm
            for i in call.tokens_between(f.start, f.end)
            if call.tokens[i].is_word
        )
        for f in found
        if f.entity_type is EntityType.AGE
    } - {(word,) for word in call.locale.numbers.said}
    repeats: list[Found] = []
    for run in find_runs(call) if ages else ():
        words = tuple(
            call.tokens[i].norm for i in range(run.first, run.last + 1) if call.tokens[i].is_word
        )
        is_counting = call.norm(run.last + 1, run.turn) in call.locale.quantities.after
        if words in ages and run.first not in covered and not is_counting:
            repeats.append(_make(call, run.first, run.last, EntityType.AGE, 0.6))
    return repeats


def _is_written(call: CallText, run: Run) -> bool:
    return len(run.units) == 1 and call.tokens[run.first].norm.isdecimal()
