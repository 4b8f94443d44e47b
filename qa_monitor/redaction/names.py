"""Names told by how people introduce, address and spell them, and by the question before."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.calltext import CallText, Found, Token
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.settings import RecognizerSettings

__all__ = ["extend_names", "find_introduced_names", "find_unknown_names"]

RECOGNIZER = "introduced_names"

_LONGEST_NAME = 4
_GREETING_TOKENS = 12


def find_introduced_names(call: CallText, cues: list[list[Cue]]) -> list[Found]:
    """Names after titles and introductions, in answers to a question for a name."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        found.extend(_after_titles(call, turn))
        found.extend(_after_introductions(call, turn))
        found.extend(_before_speaking(call, turn))
        if _name_was_asked(call, cues, turn):
            answer = _answer(call, turn, indices)
            if answer is not None:
                found.append(answer)
    return found


def _found(call: CallText, first: int, last: int, score: float, context: str) -> Found:
    end = call.tokens[last].end
    if call.tokens[last].norm.endswith("'s"):
        end -= 2
    return Found(
        start=call.tokens[first].start,
        end=end,
        entity_type=EntityType.PERSON,
        score=score,
        recognizer=RECOGNIZER,
        context=context,
    )


def _bare(token: Token) -> str:
    return token.norm[:-2] if token.norm.endswith("'s") else token.norm


def _could_be_name(call: CallText, index: int, turn: int) -> bool:
    """Whether the token can be part of a name: capitalised inside a sentence, or no plain word."""
    if not call.norm(index, turn):
        return False
    token = call.tokens[index]
    if not token.is_word or len(token.norm) < 2 or token.norm in call.locale.talk.words:
        return False
    if token.is_capitalised and not token.text.isupper():
        return True
    return not call.locale.talk.is_common(_bare(token))


def _extend(call: CallText, first: int, turn: int) -> int:
    """The last token of the name that begins at ``first``."""
    particles, letter_words = call.locale.names.particles, call.locale.letters.words
    last = first
    while last - first + 1 < _LONGEST_NAME:
        if call.tokens[last].norm.endswith("'s"):
            break
        following = last + 1
        word = call.norm(following, turn)
        if (
            word == "-"
            and call.tokens[following].is_glued
            and _could_be_name(call, following + 1, turn)
        ):
            last = following + 1
            continue
        if (
            word == "."
            and len(call.tokens[last].norm) == 1
            and _could_be_name(call, following + 1, turn)
        ):
            last = following + 1
            continue
        if word in particles and _could_be_name(call, following + 1, turn):
            last = following + 1
            continue
        if (
            len(word) == 1
            and word.isalpha()
            and word not in letter_words
            and _could_be_name(call, following + 1, turn)
        ):
            last = following
            continue
        token = call.tokens[following] if word else None
        if token is None or not _could_be_name(call, following, turn):
            break
        if token.is_capitalised != call.tokens[first].is_capitalised:
            break
        last = following
    return last


def _after_titles(call: CallText, turn: int) -> list[Found]:
    said, talk = call.locale.names, call.locale.talk
    found: list[Found] = []
    for index in call.turn_tokens[turn]:
        word = call.norm(index, turn)
        if word not in said.titles:
            continue
        name = index + 1
        if call.norm(name, turn) == "." and word in said.sure_titles:
            name += 1
        following = call.norm(name, turn)
        if not following or not following[0].isalpha():
            continue
        is_sure = word in said.sure_titles and following not in talk.words
        if (
            word in said.verb_titles
            and not call.tokens[index].is_capitalised
            and talk.is_common(following)
        ):
            # "i miss him", "i miss work"
            is_sure = False
        if word in said.capital_titles:
            is_sure = False
            if not call.tokens[name].is_capitalised:
                continue
        capital = call.tokens[name].is_capitalised and following not in talk.words
        if (
            (is_sure and len(following) > 1)
            or capital
            or (following not in talk.words and not talk.is_common(following))
        ):
            if len(following) == 1:
                continue
            found.append(_found(call, name, _extend(call, name, turn), 0.85, "title"))
    return found


def _after_introductions(call: CallText, turn: int) -> list[Found]:
    said = call.locale.names
    found: list[Found] = []
    for index in call.turn_tokens[turn]:
        if not _could_be_name(call, index, turn):
            continue
        token = call.tokens[index]
        lead = call.folded[max(call.turn_starts[turn], token.start - 40) : token.start].rstrip(
            " ,:"
        )
        lead = said.hesitating.sub("", lead)
        if not lead:
            continue
        is_name = not call.locale.talk.is_common(_bare(token))
        strong = said.introducing.search(lead)
        if strong is not None and (is_name or token.is_capitalised):
            found.append(_found(call, index, _extend(call, index, turn), 0.8, "introduction"))
        elif (
            strong is None
            and is_name
            and _is_introduction(call, index, turn)
            and said.weakly_introducing.search(lead) is not None
        ):
            found.append(_found(call, index, _extend(call, index, turn), 0.6, "introduction"))
    return found


def _is_introduction(call: CallText, index: int, turn: int) -> bool:
    """Whether an unknown word after "this is" is a name: near the beginning, or going on so."""
    if (
        call.tokens[index].is_capitalised
        or index - call.turn_tokens[turn].start <= _GREETING_TOKENS
    ):
        return True
    last = _extend(call, index, turn)
    return call.norm(last + 1, turn) in call.locale.names.after_introduction


def _before_speaking(call: CallText, turn: int) -> list[Found]:
    """Names before "speaking" and "here" in a greeting."""
    said = call.locale.names
    found: list[Found] = []
    for index in call.turn_tokens[turn]:
        is_speaking = call.norm(index, turn) in said.speaking
        if not is_speaking and call.norm(index, turn) not in said.here:
            continue
        previous = index - 1
        if call.norm(previous, turn) and _could_be_name(call, previous, turn):
            token = call.tokens[previous]
            before = call.norm(previous - 1, turn)
            if (
                not call.locale.talk.is_common(token.norm)
                or (token.is_capitalised and before in {",", ".", ""} and is_speaking)
            ) and (token.is_capitalised or is_speaking):
                found.append(_found(call, previous, previous, 0.7, "introduction"))
    return found


def _name_was_asked(call: CallText, cues: list[list[Cue]], turn: int) -> bool:
    for back in (1, 2):
        asked = turn - back
        if asked < 0 or call.is_same_speaker(asked, turn):
            continue
        if not any(cue.entity_type is EntityType.PERSON for cue in cues[asked]):
            return False
        if call.roles[turn] is Role.AGENT:
            # A caller's "my name is" is no question; "what's your name?" is.
            start, end = call.turn_starts[asked], call.turn_ends[asked]
            return call.locale.names.asking_agent.search(call.folded, start, end) is not None
        return True
    return False


def _answer(call: CallText, turn: int, indices: range) -> Found | None:
    """The name at the beginning of the answer to "your name?"."""
    talk, is_common = call.locale.talk.words, call.locale.talk.is_common
    position = indices.start
    while (
        position < indices.stop
        and position - indices.start < 14
        and (call.norm(position, turn) in talk or not call.norm(position, turn)[0].isalpha())
    ):
        position += 1
    if position >= indices.stop:
        return None
    token = call.tokens[position]
    if not token.is_word or token.norm in talk or len(token.norm) < 2:
        return None
    last = position
    while last + 1 < indices.stop and last - position < 3:
        following = call.tokens[last + 1]
        if following.norm == "-" and following.is_glued:
            last += 1
            continue
        if (
            not following.is_word
            or following.norm in talk
            or (
                is_common(following.norm)
                and not following.is_capitalised
                and last + 2 < indices.stop
            )
        ):
            break
        last += 1
    is_short = (
        sum(1 for i in indices if call.tokens[i].is_word and call.norm(i, turn) not in talk) <= 3
    )
    names = sum(1 for i in range(position, last + 1) if not is_common(call.tokens[i].norm))
    if names == 0 and not is_short:
        return None
    if names == 0 and is_short and len([i for i in indices if call.tokens[i].is_word]) > 6:
        return None
    return _found(call, position, last, 0.75 if names else 0.55, "question before")


def _is_unknown(call: CallText, index: int, turn: int, settings: RecognizerSettings) -> bool:
    """Whether the token is a word that is no ordinary English, no medicine and not allowed."""
    word = call.norm(index, turn)
    if len(word) < 3 or not word[0].isalpha():
        return False
    bare = _bare(call.tokens[index])
    locale = call.locale
    return not (
        locale.talk.is_common(bare)
        or bare in settings.medicines
        or word in settings.allowed_words
        or bare in settings.allowed_words
        or bare in locale.letters.acronyms
        or bare in locale.dates.months
        or bare in locale.names.no_names
    )


def extend_names(call: CallText, found: list[Found], settings: RecognizerSettings) -> list[Found]:
    """``found`` with people's names taken on to unknown words beside them: "tasha lovejoy"."""
    covered: set[int] = set()
    for f in found:
        covered.update(call.tokens_between(f.start, f.end))
    extended: list[Found] = []
    for f in found:
        indices = call.tokens_between(f.start, f.end)
        if f.entity_type is not EntityType.PERSON or not indices:
            extended.append(f)
            continue
        turn = call.tokens[indices.start].turn
        first, last = indices.start, indices.stop - 1
        is_capital = call.tokens[first].is_capitalised
        if len(call.tokens[last].norm) == 1:
            # A spelled name ends with its letters.
            extended.append(f)
            continue
        if call.tokens[last].end == f.end:
            while (
                last - first < _LONGEST_NAME
                and last + 1 not in covered
                and (
                    _is_unknown(call, last + 1, turn, settings)
                    and call.tokens[last + 1].is_capitalised is is_capital
                )
            ):
                last += 1
                covered.add(last)
        while (
            last - first < _LONGEST_NAME
            and first - 1 not in covered
            and (
                _is_unknown(call, first - 1, turn, settings)
                and not call.tokens[first - 1].norm.endswith("'s")
                and call.tokens[first - 1].is_capitalised is is_capital
                and call.tokens[first - 1].norm not in call.locale.names.titles
            )
        ):
            first -= 1
            covered.add(first)
        extended.append(
            replace(
                f,
                start=min(f.start, call.tokens[first].start),
                end=max(f.end, call.tokens[last].end),
            )
        )
    return extended


def find_unknown_names(call: CallText, settings: RecognizerSettings) -> list[Found]:
    """Capitalised words inside a sentence that are no ordinary English: names of some kind."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        words = [i for i in indices if call.tokens[i].is_word]
        capitals = sum(call.tokens[i].is_capitalised for i in words)
        if 2 * capitals > len(words) + 2:
            # Where everything is capitalised, a capital tells nothing.
            continue
        index = indices.start + 1
        while index < indices.stop:
            last = index
            while last < indices.stop and _stands_out(call, last, turn, settings):
                last += 1
            before = call.norm(index - 1, turn)
            if last > index and (before[0].isalnum() or before in {",", "-", "'", '"', "("}):
                place = before in call.locale.names.place_prepositions
                end = call.tokens[last - 1].end
                if call.tokens[last - 1].norm.endswith("'s"):
                    end -= 2
                found.append(
                    Found(
                        start=call.tokens[index].start,
                        end=end,
                        entity_type=EntityType.LOCATION if place else EntityType.PERSON,
                        score=0.5,
                        recognizer="unknown_names",
                    )
                )
            index = max(last, index + 1)
    return found


def _stands_out(call: CallText, index: int, turn: int, settings: RecognizerSettings) -> bool:
    token = call.tokens[index]
    second_of = call.locale.names.compounds.get(token.norm)
    if second_of in {call.norm(index - 1, turn), call.norm(index - 2, turn)}:
        return False
    return (
        token.is_word
        and token.is_capitalised
        and not token.text.isupper()
        and _is_unknown(call, index, turn, settings)
    )
