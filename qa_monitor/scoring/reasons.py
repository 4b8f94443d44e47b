"""Why a score is what it is, in words that a coach can say to the agent.

Plain sentences in the second person, without words of the call: its quotes are shown beside them.
They say what was counted, what raised the score and what lowered it, the strongest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qa_monitor.calls import Criterion, EscalationOutcome

__all__ = [
    "MOMENTS",
    "Moved",
    "abstains_for",
    "counted",
    "empathy_reason",
    "escalation_reason",
    "is_phrased",
    "listening_reason",
    "not_scored_for",
    "urgency_reason",
]

_NUMBERS: Final = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
)

_DONE: Final[Mapping[str, tuple[str, str]]] = {
    # What the agent did, with room for how often, and the same as advice.
    "open_question": (
        "invited the caller{often} to tell you more",
        "invite the caller to tell you more",
    ),
    "clarifying_question": (
        "asked{often} about what was not yet clear",
        "ask about what is not yet clear",
    ),
    "reflection": (
        "put what you had heard into your own words{often}",
        "put what you have heard into your own words",
    ),
    "read_back": ("read details back{often}", "read details back"),
    "teach_back": (
        "checked{often} that the caller understood",
        "check that the caller has understood",
    ),
    "summary": ("summed up{often} what was agreed", "sum up what is agreed"),
    "anything_else": (
        "asked{often} whether there was anything else",
        "ask whether there is anything else",
    ),
    "builds_on": ("took up{often} what the caller said", "take up what the caller says"),
    "asks_again": (
        "asked again{often} for what had been said already",
        "keep in mind what has been said already",
    ),
    "ignores_detail": (
        "let something that the caller told you go by{often}",
        "take note of what the caller tells you",
    ),
    "interrupts": ("cut the caller short{often}", "let the caller finish"),
    "answers_other": (
        "answered{often} something other than what was asked",
        "answer what is asked",
    ),
    "emergency_number": (
        "told the caller{often} to call the emergency number",
        "tell the caller to call the emergency number",
    ),
    "transfer_now": (
        "put the caller through{often} to somebody who can help",
        "put the caller through to somebody who can help",
    ),
    "same_day": ("offered help{often} for the same day", "offer help for the same day"),
    "timed_callback": (
        "arranged a call-back{often} with a time",
        "arrange a call-back with a time",
    ),
    "message_only": ("took a message{often}", "take a message"),
    "red_flag_question": ("asked about warning signs{often}", "ask about warning signs"),
    "asks_location": ("asked{often} where the patient was", "ask where the patient is"),
    "safety_instruction": (
        "said{often} what to do until there is help",
        "say what to do until there is help",
    ),
    "stays_on_line": ("stayed on the line", "stay on the line"),
    "commitment": (
        "had the caller agree{often} to what to do",
        "have the caller agree to what to do",
    ),
    "minimises": (
        "played down{often} what the caller told you",
        "take what the caller tells you seriously",
    ),
    "apology": ("said{often} that you were sorry", "say that you are sorry where it is due"),
}

MOMENTS: Final = "moments"
"""What stands for the answers to the caller's feelings where labels of behaviour are expected."""

_MOMENT: Final[Mapping[str, str]] = {
    "emotion": "when the caller showed how they felt",
    "difficulty": "when the caller told you of a difficulty",
    "loss": "when the caller told you of a loss",
    "fear": "when the caller was worried",
    "success": "when the caller had good news",
}
_ANY_MOMENT = "when the caller showed a feeling or a difficulty"
_IN_SUBSTANCE = frozenset({"acknowledged", "pursued", "confirmed"})
_ONE_ANSWER: Final[Mapping[str, str]] = {
    "acknowledged": ", and your answer took up what was said",
    "pursued": ", and you asked more about it",
    "confirmed": ", and your answer went into what was said",
    "perfunctory": ", but only with a set phrase",
}

_LEVEL: Final = ("was not urgent", "needed help the same day", "was urgent", "was an emergency")
_POINTS_TO: Final = (
    "",
    "a need for help the same day",
    "a need for help at once",
    "an emergency",
)

_SUBJECT: Final[Mapping[Criterion, str]] = {
    Criterion.EMPATHY: "empathy",
    Criterion.ACTIVE_LISTENING: "listening",
    Criterion.URGENCY: "urgency",
    Criterion.ESCALATION: "the handling of urgency",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A kind of behaviour that moved a score: its label, how often it was found, and its points."""

    label: str
    times: int
    points: float


def is_phrased(label: str) -> bool:
    """Whether there are words for ``label``."""
    return label in _DONE


# --- scores --------------------------------------------------------------------------------------


def empathy_reason(
    moments: Sequence[tuple[str, str | None]],
    moved: Sequence[Moved] = (),
    *,
    capped_at: float | None = None,
) -> str:
    """The reason of an empathy score.

    ``moments`` are the caller's opportunities, each with the level of the response (``None`` where
    the call ended before one); ``capped_at`` is the cap that held the points down.
    """
    sentences = [_answered(moments)]
    answered = sum(level in _ONE_ANSWER for _, level in moments)
    if capped_at is not None:
        why = "none of them was answered" if not answered else "fewer than half were answered"
        if len(moments) == 1:
            why = "it was not answered"
        sentences.append(f"Because {why}, the score can be no more than {capped_at:g}.")
    helped = [one for one in moved if one.points > 0]
    hurt = [one for one in moved if one.points < 0]
    if helped:
        sentences.append(f"It helped that you {_and([_done(one) for one in helped[:2]])}.")
    if hurt:
        sentences.append(f"It cost points that you {_and([_done(one) for one in hurt[:2]])}.")
    return " ".join(sentences)


def _answered(moments: Sequence[tuple[str, str | None]]) -> str:
    kinds = {label for label, _ in moments}
    when = _MOMENT.get(kinds.pop(), _ANY_MOMENT) if len(kinds) == 1 else _ANY_MOMENT
    levels = Counter(level for _, level in moments)
    total = len(moments)
    deep = sum(levels[level] for level in _IN_SUBSTANCE)
    shallow = levels["perfunctory"]
    answered = deep + shallow
    if total == 1:
        (level,) = levels
        if answered:
            return f"You answered the one moment {when}{_ONE_ANSWER[str(level)]}."
        fate = {
            "none": "it was passed over",
            "dismissive": "your answer brushed it aside",
        }.get(str(level), "no clear answer to it was heard")
        return f"There was one moment {when}, and {fate}."
    if not answered:
        text = f"There were {_number(total)} moments {when}, and none of them was answered"
    elif answered == total:
        text = f"You answered {'both' if total == 2 else f'all {_number(total)}'} moments {when}"
    else:
        text = f"You answered {_number(answered)} of {_number(total)} moments {when}"
    text += _depth(deep, shallow)
    rest = [
        f"{_number(levels[level])} {'was' if levels[level] == 1 else 'were'} {fate}"
        for level, fate in (("none", "passed over"), ("dismissive", "brushed aside"))
        if levels[level] and (answered or level == "dismissive")
    ]
    if answered and levels[None]:
        rest.append(f"{_number(levels[None])} had no answer that was clear")
    return text + (f"; {_and(rest)}" if rest else "") + "."


def _depth(deep: int, shallow: int) -> str:
    """How far the answers went into what was said."""
    if not deep + shallow:
        return ""
    if not shallow:
        which = {1: "that answer", 2: "both answers"}.get(deep, "all of the answers")
        return f", and {which} went into what was said"
    if not deep:
        return f", but only with {'a set phrase' if shallow == 1 else 'set phrases'}"
    if deep + shallow == 2:
        return ", one with words that went into what was said and one with a set phrase"
    others = "the other was a set phrase" if shallow == 1 else "the others were set phrases"
    return f"; {_number(deep)} of the answers went into what was said, and {others}"


def listening_reason(
    moved: Sequence[Moved], *, interruptions: int = 0, advice: str | None = None
) -> str:
    """The reason of a listening score.

    ``interruptions`` are those that cost points by the times of turns; ``advice`` is the label that
    would have brought most.
    """
    helped = [one for one in moved if one.points > 0]
    hurt = [one for one in moved if one.points < 0]
    sentences = []
    if helped:
        sentences.append(f"You {_and([_done(one) for one in helped[:3]])}.")
    elif not hurt:
        sentences.append("Little was heard that shows how closely you listened.")
    if hurt:
        what = _and([_done(one) for one in hurt[:2]])
        sentences.append(f"{'Against that, you' if helped else 'You'} {what}.")
    if interruptions:
        sentences.append(f"You began while the caller was still speaking{_often(interruptions)}.")
    if advice is not None:
        sentences.append(f"Next time, {_DONE[advice][1]}.")
    return " ".join(sentences)


def urgency_reason(level: int, signs: int, *, is_likely: bool) -> str:
    """The reason of an urgency level that ``signs`` turns of the caller tell of."""
    if level == 0:
        return "Nothing that was heard from the caller was urgent."
    verb = ("points" if signs == 1 else "point") if is_likely else "may point"
    things = "thing" if signs == 1 else "things"
    number = _number(signs).capitalize() if signs < len(_NUMBERS) else "Many"
    return f"{number} {things} the caller said {verb} to {_POINTS_TO[level]}."


def escalation_reason(
    level: int,
    outcome: EscalationOutcome | None,
    moved: Sequence[Moved],
    *,
    action: str | None = None,
    delay_s: float | None = None,
    advice: str | None = None,
) -> str:
    """The reason of an escalation score.

    ``outcome`` is ``None`` where it is unsure, ``action`` the right one that was taken,
    ``delay_s`` after the first sign; ``advice`` the
    label that would have brought most.
    """
    call = f"The call {_LEVEL[level]}"
    helped = [one for one in moved if one.points > 0 and one.label != action]
    hurt = [one for one in moved if one.points < 0]
    if action is not None:
        text = f"{call}, and you {_deed(action)}{_after(delay_s)}"
        if outcome is EscalationOutcome.LATE_OR_PARTIAL:
            text += ", but late or without all that makes it safe"
        elif outcome is EscalationOutcome.MISSED:
            text += ", but too late or too weakly to count as help"
        elif outcome is None:
            text += "; whether that was all it asked for, a person should judge"
        sentences = [text + "."]
        if helped:
            sentences.append(f"You also {_and([_deed(one.label) for one in helped[:3]])}.")
    else:
        if outcome is EscalationOutcome.MISSED:
            sentences = [f"{call}, and what it asks for was not heard from you."]
        elif outcome is None:
            sentences = [
                f"{call}; whether you did what it asks for is not sure, and a person should judge."
            ]
        else:
            sentences = [f"{call}, and only part of what it asks for was heard from you."]
        if helped:
            sentences.append(f"You {_and([_deed(one.label) for one in helped[:3]])}.")
    if hurt:
        sentences.append(f"It cost points that you {_and([_deed(one.label) for one in hurt[:2]])}.")
    if advice is not None:
        sentences.append(f"Next time, {_DONE[advice][1]}.")
    return " ".join(sentences)


# --- no scores -----------------------------------------------------------------------------------

_NOT_SCORED: Final[Mapping[str, str]] = {
    "roles": "it is not sure enough which of the speakers you are",
    "type": "your rubric does not ask for it in calls of this type",
    "short": "the conversation is too short",
    "no_opportunity": "the caller showed no feeling or difficulty that asked for an answer",
    "not_urgent": "nothing in the call was urgent",
    "unneeded": "nothing in the call was urgent, though you treated it as urgent",
}
_ABSTAINS: Final[Mapping[str, str]] = {
    "unheard": "too much of the call could not be heard clearly",
    "doubtful": "what it would rest on could not be heard clearly",
    "answers": "your answers to what the caller felt could not be heard clearly",
    "unsure_opportunity": "it is not sure enough that there was a feeling to answer",
    "wide": "what was heard fits low scores as well as high ones",
}


def not_scored_for(criterion: Criterion, why: str) -> str:
    """The reason why ``criterion`` does not apply; ``why`` is a code."""
    return f"Not scored on {_SUBJECT[criterion]}: {_NOT_SCORED[why]}."


def abstains_for(criterion: Criterion, why: str) -> str:
    """The reason why no points are given though there was occasion; ``why`` is a code."""
    return (
        f"No points for {_SUBJECT[criterion]} are given here: {_ABSTAINS[why]}. "
        "A person should listen."
    )


# --- words ---------------------------------------------------------------------------------------


def counted(number: int, noun: str) -> str:
    """``number`` and ``noun``, which takes an s for more than one: "two turns"."""
    return f"{_number(number)} {noun}{'' if number == 1 else 's'}"


def _number(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def _often(times: int) -> str:
    if times <= 1:
        return ""
    return " twice" if times == 2 else f" {_number(times)} times"


def _done(moved: Moved) -> str:
    if moved.label == MOMENTS:
        if moved.points > 0:
            return "answered what the caller felt"
        return "passed over what the caller felt"
    return _deed(moved.label, moved.times)


def _deed(label: str, times: int = 1) -> str:
    return _DONE[label][0].replace("{often}", _often(times))


def _after(delay_s: float | None) -> str:
    if delay_s is None:
        return ""
    if delay_s < 5:
        return " at once"
    if delay_s < 90:
        return f" {round(delay_s)} seconds after the first sign of it"
    return f" {round(delay_s / 60)} minutes after the first sign of it"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
