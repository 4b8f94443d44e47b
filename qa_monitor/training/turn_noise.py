"""Makes written turns look like what recognisers write, so that training sees both.

Lower case without punctuation, fillers dropped or added, words lost, doubled or misheard,
names that redaction missed, turns broken in two.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qa_monitor.calls import Role
from qa_monitor.scoring.labels import EXCLUSIVE_TASKS, OPPORTUNITY, URGENCY_CUE
from qa_monitor.training.labelled_calls import LabelledCall, LabelledTurn, redacted_dialogue

__all__ = ["TrainingTurn", "as_heard", "heard_call", "training_turns", "vary"]

_WORD = re.compile(r"<[A-Z_]+_\d+>|[^\W_]+(?:['’][^\W_]+)*")
_FILLERS = ("um", "uh", "like", "you know", "i mean", "well", "so")
_DROPPABLE = frozenset("um uh er hm mm the a an to of and is it i".split())
_BACKCHANNELS = ("mm-hm", "okay", "right", "uh huh", "yeah")
_MISHEARD = (
    "the a and to i in it is you that of for on have my with be was but so we not this they he she "
    "there can just know get what one two right now call day pain take need time here been well"
).split()
_SHORTEST_SPLIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTurn:
    """A redacted turn with its labels."""

    role: Role
    text: str = field(repr=False)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def training_turns(call: LabelledCall) -> tuple[TrainingTurn, ...]:
    """The turns of ``call`` with every marked span redacted."""
    dialogue = redacted_dialogue(call)
    return tuple(
        TrainingTurn(role=turn.role, text=redacted.text, labels=turn.labels)
        for turn, redacted in zip(call.turns, dialogue.turns, strict=True)
    )


def heard_call(call: LabelledCall, turns: Sequence[Mapping[str, Any]]) -> LabelledCall:
    """``call`` with the ``turns`` that a recogniser heard, their PHI replaced by placeholders.

    ``turns`` are those of a line of ``training.heard_forms``; a heard turn has the labels of what
    was said in it.
    """
    heard: list[LabelledTurn] = []
    for turn in turns:
        text = turn["text"]
        for span in sorted(turn["phi"], key=lambda span: -int(span["start"])):
            text = f"{text[: span['start']]}<{span['type']}_1>{text[span['end'] :]}"
        labels: dict[str, tuple[str, ...]] = {}
        for said in (call.turns[number] for number in turn["said"]):
            for task, given in said.labels.items():
                labels[task] = tuple(dict.fromkeys((*labels.get(task, ()), *given)))
        for task in EXCLUSIVE_TASKS & labels.keys() - {OPPORTUNITY}:
            labels[task] = (max(labels[task]),) if task == URGENCY_CUE else labels[task][:1]
        heard.append(LabelledTurn(role=Role(turn["speaker"]), text=text, labels=labels))
    return replace(call, turns=tuple(heard))


def as_heard(text: str, rng: random.Random, *, error_rate: float) -> str:
    """``text`` as a recogniser writes it, with about ``error_rate`` of its words wrong."""
    words: list[str] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if word.startswith("<"):
            words.append(word)
            continue
        word = word.lower()
        chance = rng.random()
        if word in _DROPPABLE and chance < error_rate:
            continue
        if chance < error_rate * 0.3:
            continue
        if chance < error_rate * 0.6:
            words.append(rng.choice(_MISHEARD))
        elif chance < error_rate * 0.9 and len(word) > 3:
            cut = rng.randrange(1, len(word) - 1)
            words.append(word[:cut] + rng.choice("aeiourstln") + word[cut + 1 :])
        elif chance < error_rate:
            words += [word, word]
        else:
            words.append(word)
    return " ".join(words)


def vary(call: LabelledCall, rng: random.Random) -> tuple[TrainingTurn, ...]:
    """``call`` as it might have been heard this time: a different one with each draw."""
    hidden = rng.choice((1.0, 1.0, 1.0, 0.9, 0.7))
    seen = replace(call, turns=tuple(_with_missed_phi(turn, hidden, rng) for turn in call.turns))
    is_heard = rng.random() < 0.5
    error_rate = rng.choice((0.0, 0.05, 0.1, 0.15)) if is_heard else 0.0
    is_role_unknown = rng.random() < 0.06
    turns: list[TrainingTurn] = []
    for turn in training_turns(seen):
        text = turn.text
        if is_heard or rng.random() < 0.1:
            text = as_heard(text, rng, error_rate=error_rate) or text
        elif rng.random() < 0.15:
            text = f"{rng.choice(_FILLERS)} {text}"
        role = Role.UNKNOWN if is_role_unknown else turn.role
        words = text.split()
        if not turn.labels and len(words) >= _SHORTEST_SPLIT and rng.random() < 0.15:
            cut = rng.randrange(4, len(words) - 4)
            turns.append(replace(turn, role=role, text=" ".join(words[:cut])))
            text = " ".join(words[cut:])
        turns.append(replace(turn, role=role, text=text))
        if rng.random() < 0.03:
            other = Role.CALLER if turn.role is Role.AGENT else Role.AGENT
            turns.append(
                TrainingTurn(
                    role=Role.UNKNOWN if is_role_unknown else other,
                    text=rng.choice(_BACKCHANNELS),
                )
            )
    return tuple(turns)


def _with_missed_phi(turn: LabelledTurn, hidden: float, rng: random.Random) -> LabelledTurn:
    return replace(turn, phi=tuple(span for span in turn.phi if rng.random() < hidden))
