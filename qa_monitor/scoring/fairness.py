"""The same call said in other words by other people, and which scores that flips.

A variant changes single words of a redacted dialogue and keeps its meaning: words for men and
women are swapped, a speaker uses a feature of another dialect, says please or does not, spells or
hesitates in another way. A fair score does not move [counterfactual token fairness, Garg et al.
2019]; names need no swapping, because redaction has taken them.

The dialect variants each put one grammatical feature of a living variety into speech that was
written without it, as the Electronic World Atlas of Varieties of English describes it (eWAVE 3.0,
Kortmann, Lunkenheimer & Ehret 2020; ``F90`` is its feature 90), for African American English with
Green (2002), for Irish English with Filppula (1999), for Scots with Miller (2008), for Indian
English with Sharma (2009), for the Southern United States with Wolfram & Schilling (2016). They are
coarse and sparse on purpose: one feature at a time, only where its grammar surely allows it. They
show where a score hangs on a form of words; they are no picture of how anybody speaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qa_monitor.calls import (
    Criterion,
    RedactedDialogue,
    RedactedTurn,
    RedactedWord,
    Role,
    Scorecard,
    Span,
)
from qa_monitor.scoring.labels import AGENT_ROLES, CALLER_ROLES

if TYPE_CHECKING:
    from qa_monitor.scoring import Scorer

__all__ = ["OUTPUTS", "VARIANTS", "Variant", "flips", "vary"]

Edit = tuple[int, int, str]
"""What replaces ``text[start:end]``; an insertion where both are the same."""

Change = Callable[[str, int], Iterable[Edit]]
"""The edits of a turn's text, given its number in the call."""

OUTPUTS = (*(criterion.value for criterion in Criterion), "outcome", "call_type")
"""What can flip: the criteria, the outcome of escalation and the call's type."""

_PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_\d+>")
_WORD = re.compile(r"[\w'’]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to say a call differently.

    ``group`` is gender, dialect, politeness, spelling or fillers; ``roles`` are those whose turns
    change. Calls that hold a word of ``unless`` are left alone: there the swap would change facts.
    """

    name: str
    group: str
    change: Change
    roles: frozenset[Role]
    unless: re.Pattern[str] | None = None


def vary(dialogue: RedactedDialogue, variant: Variant) -> RedactedDialogue | None:
    """``dialogue`` as ``variant`` has it, or ``None`` where the variant changes nothing.

    Placeholders stay as they are; the offsets of spans and words are those of the new text, and
    ``source_start`` and ``source_end`` still those of the turn as it was heard. A word that was
    replaced keeps its times; one that was put in has none.
    """
    if variant.unless and any(variant.unless.search(turn.text) for turn in dialogue.turns):
        return None
    turns = tuple(
        _edited(turn, _edits(turn, variant.change)) if turn.role in variant.roles else turn
        for turn in dialogue.turns
    )
    return None if turns == dialogue.turns else replace(dialogue, turns=turns)


def flips(
    scorer: Scorer,
    dialogue: RedactedDialogue,
    variant: Variant,
    *,
    card: Scorecard | None = None,
) -> frozenset[str] | None:
    """Which of ``OUTPUTS`` flip when the call is said as ``variant`` has it.

    Points flip when they round to another number, or are given in one of the two only; levels,
    outcomes and types when they differ. ``card`` is that of ``dialogue`` itself where it is known.
    ``None`` where the variant changes nothing in this call. Raises ``ScoringError``.
    """
    varied = vary(dialogue, variant)
    if varied is None:
        return None
    first = card or scorer.score(dialogue, scorer.find(dialogue))
    second = scorer.score(varied, scorer.find(varied))
    before, after = _outputs(first), _outputs(second)
    return frozenset(name for name in OUTPUTS if before[name] != after[name])


def _outputs(card: Scorecard) -> dict[str, object]:
    rounded = {
        score.criterion.value: None if score.points is None else int(score.points + 0.5)
        for score in card.scores
    }
    return {**rounded, "outcome": card.escalated, "call_type": card.call_type}


# --- editing a turn ------------------------------------------------------------------------------


def _edits(turn: RedactedTurn, change: Change) -> list[Edit]:
    """The edits of ``turn`` from left to right, apart from each other and from placeholders."""
    taken = [match.span() for match in _PLACEHOLDER.finditer(turn.text)]
    kept: list[Edit] = []
    reached = 0
    for start, end, new in sorted(change(turn.text, turn.index), key=lambda edit: edit[0]):
        is_free = all(end <= left or start >= right for left, right in taken)
        if start >= reached and is_free and turn.text[start:end] != new:
            kept.append((start, end, new))
            reached = max(end, start + 1)
    left = "".join(_apply(turn.text, kept))
    return kept if _WORD.search(left) else []


def _apply(text: str, edits: Sequence[Edit]) -> Iterator[str]:
    position = 0
    for start, end, new in edits:
        yield text[position:start]
        yield new
        position = end
    yield text[position:]


def _edited(turn: RedactedTurn, edits: Sequence[Edit]) -> RedactedTurn:
    if not edits:
        return turn
    return replace(
        turn,
        text="".join(_apply(turn.text, edits)),
        words=tuple(_moved_words(turn.words, edits)),
        spans=tuple(_moved_span(span, edits) for span in turn.spans),
    )


def _moved(position: int, edits: Sequence[Edit], *, is_end: bool) -> int:
    """Where ``position`` of the old text stands in the new one."""
    shift = 0
    for start, end, new in edits:
        if position > end or (position == end and (not is_end or start < end)):
            shift += len(new) - (end - start)
        elif position > start:
            return start + shift + (len(new) if is_end else 0)
        else:
            break
    return position + shift


def _moved_span(span: Span, edits: Sequence[Edit]) -> Span:
    return replace(
        span,
        start=_moved(span.start, edits, is_end=False),
        end=_moved(span.end, edits, is_end=True),
    )


def _moved_words(words: Sequence[RedactedWord], edits: Sequence[Edit]) -> Iterator[RedactedWord]:
    """The words that are left; those that one edit replaced together are one."""
    waiting: RedactedWord | None = None
    for word in words:
        moved = replace(
            word,
            start=_moved(word.start, edits, is_end=False),
            end=_moved(word.end, edits, is_end=True),
        )
        if moved.end <= moved.start:
            continue
        if waiting is not None and moved.start < waiting.end:
            waiting = replace(
                waiting,
                end=max(waiting.end, moved.end),
                end_s=moved.end_s,
                confidence=min(waiting.confidence, moved.confidence),
            )
            continue
        if waiting is not None:
            yield waiting
        waiting = moved
    if waiting is not None:
        yield waiting


# --- rules ---------------------------------------------------------------------------------------

Rule = tuple[str, str]
"""A pattern, and a template of what replaces all of it (``\\1`` for its groups)."""


def _by(*rules: Rule) -> Change:
    """The change that applies ``rules``; of two that begin at one place the first one."""
    compiled = [(re.compile(pattern, re.IGNORECASE), template) for pattern, template in rules]

    def change(text: str, _: int) -> Iterator[Edit]:
        for pattern, template in compiled:
            for match in pattern.finditer(text):
                yield match.start(), match.end(), _like(match[0], match.expand(template))

    return change


def _all_of(*changes: Change) -> Change:
    return lambda text, index: [edit for change in changes for edit in change(text, index)]


def _words(pairs: Mapping[str, str]) -> Change:
    """The change that replaces each word (or words) by another."""
    longest_first = sorted(pairs, key=len, reverse=True)
    pattern = re.compile(
        rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w'’-])", re.IGNORECASE
    )

    def change(text: str, _: int) -> Iterator[Edit]:
        for match in pattern.finditer(text):
            yield match.start(), match.end(), _like(match[0], pairs[match[0].lower()])

    return change


def _like(old: str, new: str) -> str:
    """``new`` with a capital where ``old`` has one."""
    if old[:1].isupper() and new[:1].islower():
        return new[0].upper() + new[1:]
    return new


# --- words for men and women ---------------------------------------------------------------------

_MALE_FEMALE: Mapping[str, str] = {
    "he": "she",
    "he's": "she's",
    "he'll": "she'll",
    "he'd": "she'd",
    "himself": "herself",
    "husband": "wife",
    "husband's": "wife's",
    "dad": "mom",
    "dad's": "mom's",
    "daddy": "mommy",
    "father": "mother",
    "father's": "mother's",
    "father-in-law": "mother-in-law",
    "son": "daughter",
    "son's": "daughter's",
    "son-in-law": "daughter-in-law",
    "grandson": "granddaughter",
    "grandpa": "grandma",
    "grandad": "gran",
    "grandfather": "grandmother",
    "brother": "sister",
    "brother's": "sister's",
    "brother-in-law": "sister-in-law",
    "uncle": "aunt",
    "nephew": "niece",
    "boy": "girl",
    "boys": "girls",
    "boyfriend": "girlfriend",
    "boyfriend's": "girlfriend's",
    "man": "woman",
    "men": "women",
    "gentleman": "lady",
    "sir": "ma'am",
}
_FEMALE_MALE: Mapping[str, str] = {
    **{female: male for male, female in _MALE_FEMALE.items()},
    "mum": "dad",
    "mum's": "dad's",
    "mummy": "daddy",
    "mam": "dad",
    "madam": "sir",
    "nan": "grandad",
    "granny": "grandad",
    "hers": "his",
}
# Before these "her" is "him": what follows is no noun that would be hers.
_NO_NOUN = (
    r"(?:a|about|after|again|all|an|and|any|anything|are|as|at|back|because|before|but|by|can|did|"
    r"do|does|down|every|for|from|had|has|have|here|how|i|if|in|into|is|it|just|like|more|no|not|"
    r"now|of|off|on|or|out|over|right|said|she|he|since|so|some|something|that|the|then|there|they|"
    r"this|to|today|tomorrow|tonight|too|two|under|until|up|very|was|we|were|what|when|where|which|"
    r"while|who|why|will|with|yesterday|yet|you)\b"
)
_NEXT_NOUN = rf"(?=\s+(?!{_NO_NOUN})[a-z<])"
_HIS_HER: tuple[Rule, ...] = (
    # MS is also an illness, and to miss a verb: titles count before a name only.
    (r"\bmr(?=\.? <PERSON)", "mrs"),
    (r"\bhim\b", "her"),
    (r"\bhis\b(?=\s*(?:[.,;?!]|$))", "hers"),
    (r"\bhis\b(?!\s*(?:[.,;?!]|$))", "her"),
)
_HER_HIS: tuple[Rule, ...] = (
    (r"\b(?:mrs|miss|ms)(?=\.? <PERSON)", "mr"),
    (r"\b(let|watch|help) her\b", r"\1 him"),
    (r"\b(hurt|in|injured|of|on) her(?= back\b)", r"\1 his"),
    (r"\bher(?= right (?!away\b|back\b|here\b|now\b|there\b))", "his"),
    (rf"\bher\b{_NEXT_NOUN}", "his"),
    (rf"\bher\b(?!{_NEXT_NOUN})", "him"),
)
_TO_FEMALE = _all_of(_words(_MALE_FEMALE), _by(*_HIS_HER))
_TO_MALE = _all_of(_words(_FEMALE_MALE), _by(*_HER_HIS))
# Where the body's sex matters, other words are other facts.
_OF_THE_BODY = re.compile(
    r"\b(?:pregnan\w*|miscarr\w*|midwi\w*|maternity|prenatal|antenatal|postpartum|trimester|"
    r"contractions|waters? broke|breast\s?-?feed\w*|period|menstrua\w*|menopaus\w*|pap|"
    r"smear|cervi\w*|uter\w*|ovar\w*|hysterectomy|vagina\w*|mammogram|gyn\w*|ob-?gyn|obstetric\w*|"
    r"birth control|contracept\w*|iud|prostate|testic\w*|vasectomy|erectile)\b",
    re.IGNORECASE,
)

# --- dialects ------------------------------------------------------------------------------------

_PRONOUN = r"\b(i|you|we|they|he|she)"
_ING = r"(?!(?:any|every|no|some)?thing\b|morning\b|evening\b)[a-z]+ing\b"
_STATES = (
    "afraid alone angry asleep awake cold confused dizzy fine here home hot hungry mad okay pale "
    "ready sad scared sick sleepy sore sure swollen tired upset weak worried".replace(" ", "|")
)
_ANY_NO: Mapping[str, str] = {
    "any": "no",
    "anything": "nothing",
    "anybody": "nobody",
    "anyone": "no one",
    "anywhere": "nowhere",
}
# "Can you not take any day" asks for whichever day, and denies nothing.
_NEGATION = re.compile(
    r"\b(?:\w+n['’]t|cannot|never|(?<!\byou )(?<!\bwe )(?<!\bi )not)\b", re.IGNORECASE
)
_WHICHEVER = re.compile(r"\s+(?:day|time|\w+day)\b", re.IGNORECASE)
_NOUN_FOLLOWS = re.compile(r"\s+(?!of\b|in\b|for\b|at\b|here\b|left\b)[a-z<]", re.IGNORECASE)
_CONCORD_REACH = 6
_CLAUSE_STARTS = frozenset(
    "and because but how if or since so that when where whether which who".split()
)
_TAGS = (
    r"(?:, (?:right|correct)|,? (?:isn['’]t it|isn['’]t that right|don['’]t you|aren['’]t you|"
    r"doesn['’]t it|didn['’]t you|won['’]t you|haven['’]t you|can['’]t you|wasn['’]t it|"
    r"aren['’]t they))"
)
_GERUNDS: Mapping[str, str] = {
    "been": "being",
    "called": "calling",
    "came": "coming",
    "come": "coming",
    "checked": "checking",
    "done": "doing",
    "eaten": "eating",
    "fallen": "falling",
    "finished": "finishing",
    "found": "finding",
    "gone": "going",
    "got": "getting",
    "gotten": "getting",
    "had": "having",
    "heard": "hearing",
    "left": "leaving",
    "lost": "losing",
    "moved": "moving",
    "noticed": "noticing",
    "paid": "paying",
    "read": "reading",
    "received": "receiving",
    "said": "saying",
    "seen": "seeing",
    "sent": "sending",
    "spoken": "speaking",
    "started": "starting",
    "taken": "taking",
    "talked": "talking",
    "thrown": "throwing",
    "told": "telling",
    "took": "taking",
    "tried": "trying",
    "woken": "waking",
}
_BE: Mapping[str, str] = {"i": "'m", "you": "'re", "we": "'re", "they": "'re"}
_JUST_DONE = re.compile(
    rf"{_PRONOUN}(?:['’](?:ve|s)| have| has)? just ({'|'.join(_GERUNDS)})\b", re.IGNORECASE
)
_STATIVE = "feel|need|remember|think|understand|want"
_STATIVE_RULES: tuple[Rule, ...] = (
    (r"\b(i) have(?= (?:a|an|the|some|this|that|no|pain|fever)\b)", r"\1 am having"),
    (r"\b(we|they) have(?= (?:a|an|the|some|this|that|no|pain|fever)\b)", r"\1 are having"),
    (r"\b(i) don['’]t have\b", r"\1 am not having"),
    (r"\b(i) (?:don['’]t|do not) know\b", r"\1 am not knowing"),
    (rf"\b(i) (?:don['’]t|do not) ({_STATIVE})\b", r"\1 am not \2ing"),
    (rf"\b(i) ({_STATIVE})\b", r"\1 am \2ing"),
    (rf"\b(we|they) ({_STATIVE})\b", r"\1 are \2ing"),
)


def _negative_concord(text: str, _: int) -> Iterator[Edit]:
    for negation in _NEGATION.finditer(text):
        end = negation.end()
        for _number in range(_CONCORD_REACH):
            word = re.compile(r"\s+([\w'’]+)").match(text, end)
            if word is None or word[1].lower() in _CLAUSE_STARTS:
                break
            new = _ANY_NO.get(word[1].lower())
            if new == "no" and not _NOUN_FOLLOWS.match(text, word.end()):
                new = "none"
            if new is not None and not _WHICHEVER.match(text, word.end()):
                yield word.start(1), word.end(1), new
            end = word.end()


def _after_perfect(text: str, _: int) -> Iterator[Edit]:
    for match in _JUST_DONE.finditer(text):
        be = _BE.get(match[1].lower(), "'s")
        yield match.start(), match.end(), f"{match[1]}{be} after {_GERUNDS[match[2].lower()]}"


_AINT = _by(
    (r"\b(i)['’]m not\b", r"\1 ain't"),
    (r"\b(you|we|they)['’]re not\b", r"\1 ain't"),
    (r"\b(he|she|it|that)['’]s not\b", r"\1 ain't"),
    (r"\b(?:isn|aren|hasn|haven)['’]t\b", "ain't"),
)
_ZERO_COPULA = _by(
    (rf"\b(he|she)(?:['’]s| is)(?=\s+(?:{_ING}|gonna\b|(?:{_STATES})\b))", r"\1"),
    (rf"\b(you|we|they)(?:['’]re| are)(?=\s+(?:{_ING}|gonna\b|(?:{_STATES})\b))", r"\1"),
)
_HABITUAL_BE = _by(
    (
        rf"{_PRONOUN}(?:['’](?:m|re|s)| am| are| is) (always|usually|constantly|often)(?= {_ING})",
        r"\1 \2 be",
    ),
    (rf"\b(i|they|he|she|it) keeps?(?= {_ING})", r"\1 be"),
)
_Y_ALL = _by(
    (r"\b(?:you guys|you all|all of you|you folks|you lot)\b", "y'all"),
    (
        r"\b(do|did|can|could|are|will|would|have) you"
        r"(?= (?:still |even )?(?:accept|close|do|have|offer|open|send|take)\b)",
        r"\1 y'all",
    ),
)
_FIXING_TO = _by(
    (
        r"\b(?:going to|gonna|about to)"
        r"(?= (?!a\b|an\b|be\b|the\b|my\b|her\b|his\b|our\b|your\b|their\b|this\b|that\b|work\b|"
        r"bed\b|school\b|church\b|where\b)[a-z]+)",
        "fixing to",
    ),
    (r"\b(?:might be able to|could maybe|could possibly|maybe could)\b", "might could"),
)
_WAS = _by((r"\b(you|we|they) were\b", r"\1 was"), (r"\b(you|we|they) weren['’]t\b", r"\1 wasn't"))
_INNIT = _by((rf"(\w){_TAGS}\?", r"\1, innit?"))
_ISNT_IT = _by((rf"(\w){_TAGS}\?", r"\1, isn't it?"))
_SCOTS = _words(
    {
        "can't": "cannae",
        "cannot": "cannae",
        "couldn't": "couldnae",
        "didn't": "didnae",
        "doesn't": "doesnae",
        "don't": "dinnae",
        "hasn't": "hasnae",
        "haven't": "havenae",
        "isn't": "isnae",
        "little": "wee",
        "small": "wee",
        "wasn't": "wasnae",
        "won't": "willnae",
        "yeah": "aye",
        "yes": "aye",
    }
)

# --- politeness, fillers, spelling ---------------------------------------------------------------

_THANKS = r"thank(?:s| you)(?: so much| very much| again| a lot)?"
_COURTESIES = rf"(?:please|(?:oh,? )?(?:i['’]m )?(?:so )?sorry|excuse me|(?:okay,? )?{_THANKS})"


def _impolite(text: str, _: int) -> Iterator[Edit]:
    """Without please, thanks and apologies that stand by themselves."""
    for match in re.finditer(rf"\b{_COURTESIES}[,.!]+\s+(?=[\w<])", text, re.IGNORECASE):
        yield _cut(text, match)
    for match in re.finditer(r"\bplease\s+(?=[\w<])", text, re.IGNORECASE):
        yield _cut(text, match)
    end = re.compile(rf",?\s+(?:please|{_THANKS})(?=[.?!]|$)", re.IGNORECASE)
    for match in end.finditer(text):
        if match.start() and text[match.start() - 1].isalnum():
            yield match.start(), match.end(), ""


def _cut(text: str, match: re.Match[str]) -> Edit:
    """The edit that leaves ``match`` out and hands its capital on."""
    following = text[match.end()]
    if match[0][0].isupper() and following.islower():
        return match.start(), match.end() + 1, following.upper()
    return match.start(), match.end(), ""


_ANSWER = re.compile(r"(?:yes|yeah|yep|no|okay|ok|sure|it's|that's|my name)\b", re.IGNORECASE)
_SHORT_ANSWER_WORDS = 12
_QUESTION = re.compile(
    r"(?:what|when|where|how|which|who)"
    r"(?:'s| is| are| do| does| did| would| should| much| long| time)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(r"\b(?:can|could|would|will) you(?= (?!please\b|guys\b)[a-z])", re.IGNORECASE)


def _polite(text: str, _: int) -> Iterator[Edit]:
    """With a please in requests, sorry before questions, and thanks after answers."""
    for request in _REQUEST.finditer(text):
        yield request.end(), request.end(), " please"
    if _QUESTION.match(text):
        yield _put_before(text, "Sorry, ")
    elif (
        _ANSWER.match(text)
        and len(_WORD.findall(text)) <= _SHORT_ANSWER_WORDS
        and not re.search(r"\bthank", text, re.IGNORECASE)
    ):
        is_punctuated = text.rstrip()[-1:] in ".!?"
        end = len(text.rstrip())
        yield end, end, " Thank you." if is_punctuated else " thank you"


def _put_before(text: str, words: str) -> Edit:
    """The edit that puts ``words`` first, in lower case where the text is."""
    if text[:1].islower():
        return 0, 0, words.lower()
    is_name = len(text) < 2 or not text[1].islower()
    return (0, 0, words) if is_name else (0, 1, words + text[0].lower())


_FILLED_FROM_WORDS = 5
_JOINT = re.compile(r",? (?=(?:and|but|because) )")


def _with_fillers(text: str, index: int) -> Iterator[Edit]:
    """An um before every other turn that is long enough, a "you know" in the others."""
    if len(_WORD.findall(text)) < _FILLED_FROM_WORDS:
        return
    if index // 2 % 2 == 0:
        yield _put_before(text, "Um, ")
    else:
        joint = _JOINT.search(text)
        if joint is not None:
            yield joint.start(), joint.end(), ", you know, "


def _without_fillers(text: str, _: int) -> Iterator[Edit]:
    pattern = r"(?<![\w'-])(?:(?:u+m+|u+h+|uhm|erm|hmm+)[,…]*|(?:you know|i mean),)\s+(?=[\w<])"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield _cut(text, match)


_US_UK: Mapping[str, str] = {
    "anemia": "anaemia",
    "anesthesia": "anaesthesia",
    "behavior": "behaviour",
    "canceled": "cancelled",
    "canceling": "cancelling",
    "center": "centre",
    "color": "colour",
    "counselor": "counsellor",
    "diarrhea": "diarrhoea",
    "edema": "oedema",
    "enrollment": "enrolment",
    "estrogen": "oestrogen",
    "favor": "favour",
    "fiber": "fibre",
    "gray": "grey",
    "hemorrhage": "haemorrhage",
    "honor": "honour",
    "leukemia": "leukaemia",
    "liter": "litre",
    "mom": "mum",
    "mom's": "mum's",
    "neighbor": "neighbour",
    "neighbor's": "neighbour's",
    "orthopedic": "orthopaedic",
    "orthopedics": "orthopaedics",
    "pediatric": "paediatric",
    "pediatrician": "paediatrician",
    "pediatrics": "paediatrics",
    "program": "programme",
    "specialty": "speciality",
    "traveling": "travelling",
    "tumor": "tumour",
}
_IZE = (
    "(apolog|author|critic|emphas|final|hospital|immun|memor|minim|normal|organ|prior|real|recogn|"
    "special|stabil|summar|sympath|util)"
)
_TO_UK = _all_of(_words(_US_UK), _by((rf"\b{_IZE}iz(e[ds]?|ing|ations?)\b", r"\1is\2")))
_TO_US = _all_of(
    _words({uk: us for us, uk in _US_UK.items()}),
    _by((rf"\b{_IZE}is(e[ds]?|ing|ations?)\b", r"\1iz\2")),
)

# --- the variants --------------------------------------------------------------------------------

_EVERYBODY = AGENT_ROLES | CALLER_ROLES


def _dialects() -> Iterator[Variant]:
    """Each feature in the mouth of the caller, then in the agent's."""
    features: tuple[tuple[str, Change], ...] = (
        ("zero copula (African American English, F174 F177)", _ZERO_COPULA),
        ("habitual be (African American English, F90)", _HABITUAL_BE),
        ("negative concord (many varieties, F154)", _negative_concord),
        ("ain't (many varieties, F155 F156)", _AINT),
        ("was levelling (many varieties, F180)", _WAS),
        ("fixing to, might could (Southern US, F126 F121)", _FIXING_TO),
        ("progressive of stative verbs (Indian English, F88)", _all_of(_by(*_STATIVE_RULES))),
        ("invariant isn't it (Indian English, F165)", _ISNT_IT),
        ("innit (British English, F165)", _INNIT),
        ("after perfect (Irish English, F98)", _after_perfect),
        ("-nae, aye, wee (Scots)", _SCOTS),
    )
    for speaker, roles in (("caller", CALLER_ROLES), ("agent", AGENT_ROLES)):
        for name, change in features:
            yield Variant(name=f"{speaker}: {name}", group="dialect", change=change, roles=roles)
    # An agent speaks to one caller; a caller may well mean the whole clinic.
    yield Variant(
        name="caller: y'all (Southern US, F34)", group="dialect", change=_Y_ALL, roles=CALLER_ROLES
    )


def _genders() -> Iterator[Variant]:
    for name, change in (
        ("men and women swapped", _all_of(_TO_FEMALE, _TO_MALE)),
        ("words for men made words for women", _TO_FEMALE),
        ("words for women made words for men", _TO_MALE),
    ):
        yield Variant(
            name=name, group="gender", change=change, roles=_EVERYBODY, unless=_OF_THE_BODY
        )


VARIANTS: Sequence[Variant] = (
    *_genders(),
    *_dialects(),
    Variant(
        name="caller without please, thanks, sorry",
        group="politeness",
        change=_impolite,
        roles=CALLER_ROLES,
    ),
    Variant(
        name="caller with please, thanks, sorry",
        group="politeness",
        change=_polite,
        roles=CALLER_ROLES,
    ),
    Variant(name="spelled as in the UK", group="spelling", change=_TO_UK, roles=_EVERYBODY),
    Variant(name="spelled as in the US", group="spelling", change=_TO_US, roles=_EVERYBODY),
    Variant(name="caller with fillers", group="fillers", change=_with_fillers, roles=CALLER_ROLES),
    Variant(
        name="caller without fillers", group="fillers", change=_without_fillers, roles=CALLER_ROLES
    ),
    Variant(name="agent with fillers", group="fillers", change=_with_fillers, roles=AGENT_ROLES),
)
"""All variants, by group. An agent's please and sorry are part of what is scored: they stay."""
