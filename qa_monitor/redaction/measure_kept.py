"""What a redactor should leave alone: ordinary words, function words, drugs, symptoms and doses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

__all__ = [
    "FUNCTION_WORDS",
    "SYMPTOMS",
    "KeptTally",
    "Mention",
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


@dataclass(slots=True)
class KeptTally:
    """Counts turn after turn what is redacted although it is no PHI."""

    medicines: Set[str]
    words: int = 0
    redacted_words: int = 0
    wrong_words: int = 0
    mentions: Counter[str] = field(default_factory=Counter)
    touched: Counter[str] = field(default_factory=Counter)

    def add(self, text: str, found: Sequence[Stretch], phi: Sequence[Stretch]) -> None:
        """Counts one turn: its text, the stretches ``found`` and those that are PHI.

        A redacted word is wrong when no character of it is PHI; a mention is touched when any
        character of it that is no PHI is redacted.
        """
        is_found, is_phi = _marks(text, found), _marks(text, phi)
        for start, end in words(text):
            self.words += 1
            if any(is_found[start:end]):
                self.redacted_words += 1
                self.wrong_words += not any(is_phi[start:end])
        for mention in medical_mentions(text, self.medicines):
            self.mentions[mention.kind] += 1
            self.touched[mention.kind] += any(
                is_found[i] and not is_phi[i] for i in range(mention.start, mention.end)
            )


def _marks(text: str, stretches: Sequence[Stretch]) -> list[bool]:
    marks = [False] * len(text)
    for start, end in stretches:
        marks[start:end] = [True] * (end - start)
    return marks
