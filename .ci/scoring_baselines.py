"""What scoring is held against: the commonest answer, the words of the call, and keywords.

Each gives a score card for a redacted call, so that it is measured by the same figures. None quotes
evidence, gives an interval or leaves anything open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Role, Score, Scorecard

if TYPE_CHECKING:
    from qa_monitor.calls import RedactedDialogue
    from qa_monitor.training.labelled_calls import LabelledCall

__all__ = ["Baseline", "Keywords", "Majority", "WordsOfCall"]

Learnt = Sequence[tuple["LabelledCall", "RedactedDialogue"]]
_SCALES = {
    Criterion.EMPATHY: "empathy",
    Criterion.ACTIVE_LISTENING: "active_listening",
    Criterion.ESCALATION: "escalation_score",
}


class Baseline(Protocol):
    """Whatever scores a redacted call."""

    def score(self, dialogue: RedactedDialogue, /) -> Scorecard:
        """The score card of ``dialogue``."""


def _card(
    points: dict[Criterion, float],
    *,
    urgency: int,
    emergency: float,
    outcome: EscalationOutcome,
    call_type: CallType,
    confidence: float,
    also: tuple[CallType, ...] = (),
) -> Scorecard:
    """A score card with no more than these; escalation is scored where there is urgency."""
    values: dict[Criterion, float | None] = {**points, Criterion.URGENCY: float(urgency)}
    if not urgency:
        values[Criterion.ESCALATION] = None
    return Scorecard(
        call_id="",
        rubric_version="baseline",
        scores=tuple(
            Score(
                criterion=criterion,
                points=value,
                max_points=3.0 if criterion is Criterion.URGENCY else 5.0,
                confidence=0.5,
                evidence=(),
                reason="",
            )
            for criterion, value in values.items()
        ),
        total=None,
        needs_review=False,
        review_reasons=(),
        call_type=call_type,
        also=also,
        call_type_confidence=confidence,
        urgency_probability=emergency,
        escalated=outcome,
        escalation_delay_s=None,
    )


class Majority:
    """Says of every call what is commonest (of scales, the median) in ``learnt``."""

    def __init__(self, learnt: Learnt) -> None:
        calls = [call for call, _ in learnt]
        types = Counter(call.call_type for call in calls).most_common(1)[0]
        self._answer = _card(
            {
                criterion: float(median(known))
                for criterion, name in _SCALES.items()
                if (known := [v for call in calls if (v := getattr(call, name)) is not None])
            },
            urgency=Counter(call.urgency for call in calls).most_common(1)[0][0],
            emergency=sum(call.urgency == 3 for call in calls) / len(calls),
            outcome=Counter(call.escalated for call in calls).most_common(1)[0][0],
            call_type=types[0],
            confidence=types[1] / len(calls),
        )

    def score(self, _: RedactedDialogue) -> Scorecard:
        """The same card for every call."""
        return self._answer


class WordsOfCall:
    """Linear models over the words and word pairs of a call (tf-idf), learnt from ``learnt``.

    Ridge regression for points and urgency, logistic regression for the outcome, the type and the
    probability of an emergency. Of empathy and listening only the agent's words are read. Secondary
    types are those of a probability of .15 or more.
    """

    def __init__(self, learnt: Learnt) -> None:
        from sklearn.linear_model import LogisticRegression, Ridge
        from sklearn.multiclass import OneVsRestClassifier

        def logistic(weights: str | None = None) -> Any:
            # Many more words than calls: the dual is solved in a fraction of the time.
            model = LogisticRegression(
                C=10,
                class_weight=weights,
                solver="liblinear",
                dual=True,
                max_iter=500,
                random_state=0,
            )
            return OneVsRestClassifier(model)

        self._scales = {
            criterion: _Fit(
                Ridge(alpha=1.0),
                [
                    (_words(dialogue, _read_of(criterion)), float(value))
                    for call, dialogue in learnt
                    if (value := getattr(call, name)) is not None
                ],
            )
            for criterion, name in _SCALES.items()
        }
        texts = [(_words(dialogue), call) for call, dialogue in learnt]
        self._urgency = _Fit(Ridge(alpha=1.0), [(t, float(c.urgency)) for t, c in texts])
        self._emergency = _Fit(logistic(), [(t, c.urgency == 3) for t, c in texts])
        self._outcome = _Fit(logistic("balanced"), [(t, c.escalated.value) for t, c in texts])
        self._type = _Fit(logistic(), [(t, c.call_type.value) for t, c in texts])

    def score(self, dialogue: RedactedDialogue) -> Scorecard:
        """What the words tell of ``dialogue``."""
        text = _words(dialogue)
        types = sorted(self._type.probabilities(text).items(), key=lambda pair: -pair[1])
        return _card(
            {
                criterion: min(max(fit.value(_words(dialogue, _read_of(criterion))), 1.0), 5.0)
                for criterion, fit in self._scales.items()
            },
            urgency=min(max(int(self._urgency.value(text) + 0.5), 0), 3),
            emergency=self._emergency.probabilities(text).get(True, 0.0),
            outcome=EscalationOutcome(self._outcome.value(text)),
            call_type=CallType(types[0][0]),
            confidence=types[0][1],
            also=tuple(CallType(name) for name, p in types[1:] if p >= _ALSO_FROM),
        )


_ALSO_FROM = 0.15


class _Fit:
    """A model over the words and word pairs of texts."""

    def __init__(self, model: Any, examples: Sequence[tuple[str, Any]]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        x = self._words.fit_transform([text for text, _ in examples])
        self._model = model.fit(x, [wanted for _, wanted in examples])

    def value(self, text: str) -> Any:
        """What the model says of ``text``."""
        return self._model.predict(self._words.transform([text]))[0]

    def probabilities(self, text: str) -> dict[Any, float]:
        """The probability of each class."""
        (row,) = self._model.predict_proba(self._words.transform([text]))
        return {name: float(p) for name, p in zip(self._model.classes_.tolist(), row, strict=True)}


def _read_of(criterion: Criterion) -> Role | None:
    return None if criterion is Criterion.ESCALATION else Role.AGENT


def _words(dialogue: RedactedDialogue, role: Role | None = None) -> str:
    return "\n".join(turn.text for turn in dialogue.turns if role in (None, turn.role))


_TYPE_WORDS = {
    CallType.APPOINTMENT: "appointment|reschedule|schedule|book|slot|cancel",
    CallType.INSURANCE: "insurance|coverage|covered|deductible|copay|co-pay|premium|plan",
    CallType.BILLING: "bill|billing|charge|charged|balance|statement|invoice|payment|owe",
    CallType.PRESCRIPTION: "prescription|refill|pharmacy|pills|tablets|dose|medication",
    CallType.LAB_RESULTS: "results|result|lab|labs|blood test|biopsy|scan",
    CallType.MEDICAL_RECORDS: "records|record|copy|copies|release form|chart",
    CallType.REFERRAL: "referral|referred|refer|specialist",
    CallType.SYMPTOMS: "pain|fever|cough|rash|swollen|dizzy|symptoms|throwing up|hurts",
    CallType.EMERGENCY: "911|999|988|ambulance|emergency|can't breathe|unconscious",
    CallType.AFTER_HOURS: "on call|on-call|after hours|answering service|page the",
    CallType.POST_DISCHARGE: "discharge|discharged|sent home|since you left|came home",
    CallType.OUTREACH: "vaccine|vaccination|flu shot|screening|mammogram|reminder|calling from",
    CallType.GENERAL: "portal|password|directions|parking|complaint|hours",
}
_EMPATHY_WORDS = (
    "sorry|i understand|i hear|must be|that sounds|frustrating|scary|worried|glad you|of course you"
)
_LISTENING_WORDS = (
    r"\?",
    "so that's|let me read|read that back|to confirm|just to be sure",
    "anything else",
    "make sense|say that back|tell me back|in your own words",
    "you said|you mentioned|it sounds like|so what you",
)
_ACTION_WORDS = "911|999|988|ambulance|nurse|doctor now|transfer you|connect you"
_PARTIAL_WORDS = "call you back|leave a message|pass this on|message|today"


class Keywords:
    """Counts stock phrases, and takes the red-flag file for urgency; nothing is learnt."""

    def __init__(self) -> None:
        from qa_monitor.scoring.redflags import RedFlags

        self._red_flags = RedFlags()

    def score(self, dialogue: RedactedDialogue) -> Scorecard:
        """What the keywords tell of ``dialogue``."""
        agent, everybody = _words(dialogue, Role.AGENT), _words(dialogue)
        counts = {name: _count(words, everybody) for name, words in _TYPE_WORDS.items()}
        call_type = max(counts, key=lambda name: counts[name])
        level = max((match.level for match in self._red_flags.find(dialogue)), default=0)
        if _count(_ACTION_WORDS, agent):
            outcome, points = EscalationOutcome.PROPERLY, 5.0
        elif _count(_PARTIAL_WORDS, agent):
            outcome, points = EscalationOutcome.LATE_OR_PARTIAL, 3.0
        else:
            outcome, points = EscalationOutcome.MISSED, 1.0
        listening = sum(_count(words, agent) > 0 for words in _LISTENING_WORDS)
        return _card(
            {
                Criterion.EMPATHY: float(min(2 + _count(_EMPATHY_WORDS, agent), 5)),
                Criterion.ACTIVE_LISTENING: float(max(listening, 1)),
                Criterion.ESCALATION: points,
            },
            urgency=level,
            emergency=float(level == 3),
            outcome=outcome if level else EscalationOutcome.NOT_NEEDED,
            call_type=call_type,
            confidence=counts[call_type] / max(sum(counts.values()), 1),
            also=tuple(name for name, n in counts.items() if n and name is not call_type)[:1],
        )


def _count(words: str, text: str) -> int:
    """How often one of ``words`` stands in ``text``, as whole words."""
    return len(re.findall(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE))
