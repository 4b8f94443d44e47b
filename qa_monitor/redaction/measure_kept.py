"""What a redactor should leave alone: ordinary words, function words, drugs, symptoms and doses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from qa_monitor.redaction.measure import CallCounts

__all__ = [
    "FUNCTION_WORDS",
    "SYMPTOMS",
    "KeptTurn",
    "Mention",
    "count_kept",
    "function_words",
    "medical_mentions",
    "words",
]

FUNCTION_WORDS = frozenset(
    "my name is it's its it the and an am i'm im that that's this these there here he she they we "
    "you me him her his our your their of in on at to from with by for as or but so if then was "
    "were are be been have has had do does did can will would not".split()
)
"""Words that carry a sentence and tell of nobody.

"a" and "i" are left out: in a spelled name they are letters.
"""

SYMPTOMS = frozenset(
    "pain pains ache aches aching cough coughing coughs fever fevers feverish chills sweats "
    "headache headaches migraine migraines nausea nauseous vomiting vomit vomited dizziness dizzy "
    "lightheaded lightheadedness fainting fainted rash rashes itching itchy hives swelling swollen "
    "bleeding bruise bruises bruising diarrhea diarrhoea constipation constipated fatigue fatigued "
    "tired tiredness weakness numb numbness tingling tremor seizure seizures wheeze wheezing "
    "wheezy breathless breathlessness congestion congested phlegm mucus sputum sore soreness stiff "
    "stiffness cramp cramps cramping bloating bloated heartburn reflux palpitations blurry blurred "
    "spasm spasms insomnia anxiety anxious depression depressed confusion confused jaundice hoarse "
    "sneezing inflammation tenderness lump lumps infection throbbing".split()
)
"""One-word names of complaints, as patients and doctors say them."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NUMBER = (
    r"(?:\d+(?:[.,/]\d+)*|half|zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|"
    r"twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|"
    r"fifty|sixty|seventy|eighty|ninety|hundred|thousand)"
)
_UNIT = (
    r"(?:mg|mgs|mcg|g|ml|mls|cc|iu|milligram(?:me)?s?|microgram(?:me)?s?|gram(?:me)?s?|"
    r"millilit(?:er|re)s?|units?|tablets?|pills?|capsules?|puffs?|drops?|teaspoons?|tablespoons?|"
    r"spoonfuls?|sachets?|patch(?:es)?|doses?|percent)"
)
_DOSE = re.compile(
    rf"\b{_NUMBER}(?:(?:[\s-]+(?:and[\s-]+|point[\s-]+)?){_NUMBER})*[\s-]*(?:of an?\s+|an?\s+)?"
    rf"{_UNIT}\b",
    re.IGNORECASE,
)

Stretch = tuple[int, int]
"""``[start, end)`` of a text."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A drug, symptom or dose said in a text."""

    kind: str
    start: int
    end: int


def words(text: str) -> Iterator[Stretch]:
    """Where the words of ``text`` stand."""
    return (match.span() for match in _WORD.finditer(text))


def function_words(text: str) -> Iterator[Stretch]:
    """Where the ``FUNCTION_WORDS`` of ``text`` stand."""
    return (
        (start, end)
        for start, end in words(text)
        if text[start:end].lower().replace("’", "'") in FUNCTION_WORDS
    )


def medical_mentions(text: str, medicines: Set[str]) -> Iterator[Mention]:
    """Drugs (one-word names in ``medicines``, lower-case), ``SYMPTOMS``, and doses.

    A dose is a number, in digits or words, followed by a unit: "two puffs", "500 mg".
    """
    for start, end in words(text):
        word = text[start:end].lower()
        if word in medicines:
            yield Mention("drug", start, end)
        elif word in SYMPTOMS:
            yield Mention("symptom", start, end)
    for match in _DOSE.finditer(text):
        yield Mention("dose", *match.span())


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """A turn, the stretches that were redacted in it, and those that are PHI."""

    text: str = field(repr=False)
    found: Sequence[Stretch]
    phi: Sequence[Stretch] = ()


def count_kept(turns: Iterable[KeptTurn], medicines: Set[str]) -> CallCounts:
    """The counts of one dialogue: what is redacted in it although it is no PHI.

    ``redacted_words`` and ``wrong_words`` are shares of all words; a redacted word is wrong when no
    character of it is PHI. ``touched`` and ``touched:KIND`` are the shares of ``medical_mentions``
    of which a character that is no PHI is redacted; ``function_words_kept`` is the share of those
    that stay whole.
    """
    counts = CallCounts()
    for turn in turns:
        is_found, is_phi = _marks(turn.text, turn.found), _marks(turn.text, turn.phi)
        for start, end in words(turn.text):
            is_redacted = any(is_found[start:end])
            counts.add("redacted_words", is_redacted, 1)
            counts.add("wrong_words", is_redacted and not any(is_phi[start:end]), 1)
        for start, end in function_words(turn.text):
            counts.add("function_words_kept", not any(is_found[start:end]), 1)
        for mention in medical_mentions(turn.text, medicines):
            is_touched = any(
                is_found[i] and not is_phi[i] for i in range(mention.start, mention.end)
            )
            counts.add("touched", is_touched, 1)
            counts.add(f"touched:{mention.kind}", is_touched, 1)
    return counts


def _marks(text: str, stretches: Sequence[Stretch]) -> list[bool]:
    marks = [False] * len(text)
    for start, end in stretches:
        marks[start:end] = [True] * (end - start)
    return marks
