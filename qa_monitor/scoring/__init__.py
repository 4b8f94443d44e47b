"""From a redacted call to findings, scores and measures.

``EncoderScorer`` labels every turn with a small transformer encoder, looks for red flags by rule,
and scores the call from both by the rubric file. Findings can be kept and scored again under
another rubric, without audio and without the model's seeing the call again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qa_monitor.calls import (
    CallType,
    Evidence,
    Finding,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Scorecard,
)
from qa_monitor.errors import QAMonitorError, ScoringError
from qa_monitor.scoring.features import RULE_PRODUCER, rule_confidence
from qa_monitor.scoring.labels import (
    AGENT_ROLES,
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_ROLES,
    CALLER_TASKS,
    EXCLUSIVE_TASKS,
    LABELS,
    RED_FLAG,
    RESPONSE,
    URGENCY_CUE,
)
from qa_monitor.scoring.metrics import call_metrics
from qa_monitor.scoring.redflags import RedFlags
from qa_monitor.scoring.rubric import Rubric, load_rubric
from qa_monitor.scoring.scorecard import make_scorecard

if TYPE_CHECKING:
    from qa_monitor.scoring.encoder import Calibration, Predictions, TurnEncoder

__all__ = ["EncoderScorer", "Scorer", "call_metrics", "findings_of"]

_CERTAIN_ROLE = 0.5
_RESPONSE_REACH = 2


class Scorer(Protocol):
    """Whatever finds and scores."""

    @property
    def version(self) -> str:
        """Raised when findings or scores of the same call may change."""

    def find(self, dialogue: RedactedDialogue) -> tuple[Finding, ...]:
        """What is noticed in the call."""

    def score(
        self,
        dialogue: RedactedDialogue,
        findings: Sequence[Finding],
        rubric: Rubric | None = None,
        *,
        earlier_types: Sequence[CallType | None] = (),
    ) -> Scorecard:
        """The score card that ``findings`` give, by ``rubric`` or the scorer's own.

        ``earlier_types`` are what the same caller's calls of the days before were about.
        """


class EncoderScorer:
    """The scorer that ships: encoder and red-flag rules find, the rubric file scores.

    ``model_dir`` holds the turn-findings model; ``rubric_file`` and ``red_flags_file`` take the
    place of the files that ship, ``encoder`` that of the one in ``model_dir``. Raises
    ``ModelError`` and ``ConfigError`` accordingly.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        rubric_file: Path | None = None,
        red_flags_file: Path | None = None,
        encoder: TurnEncoder | None = None,
    ) -> None:
        self._rubric = load_rubric(rubric_file)
        self._red_flags = RedFlags(red_flags_file)
        from qa_monitor.scoring.encoder import TurnEncoder

        self._encoder = encoder or TurnEncoder(model_dir)
        self.version = f"turn-findings-{self._encoder.version}+red-flags-{self._red_flags.version}"

    def find(self, dialogue: RedactedDialogue) -> tuple[Finding, ...]:
        """What model and rules notice, in the order of the call; call types last.

        Takes about 8 ms a turn. Nothing rests on doubtful turns, and of speakers whose role is
        unsure only urgency is looked for. Several findings of one exclusive task on one turn are
        alternatives, surest first. Findings about a turn never depend on later turns.
        Raises ``ScoringError``, with the call's id and no words of it.
        """
        problem = None
        try:
            findings = tuple(self._find(dialogue))
        except QAMonitorError:
            raise
        except Exception as error:  # noqa: BLE001 - an engine's message may quote the caller
            problem = type(error).__name__
        if problem is not None:
            raise ScoringError(
                f"call {dialogue.call_id}: scoring failed ({problem}). "
                "Run it again; if it fails again, report the kind of error and the version.",
                call_id=dialogue.call_id,
                kind=problem,
            )
        return findings

    def score(
        self,
        dialogue: RedactedDialogue,
        findings: Sequence[Finding],
        rubric: Rubric | None = None,
        *,
        earlier_types: Sequence[CallType | None] = (),
    ) -> Scorecard:
        """The score card of ``dialogue`` from ``findings`` alone, by ``rubric`` or its own one."""
        return make_scorecard(
            dialogue, findings, rubric or self._rubric, earlier_types=earlier_types
        )

    def _find(self, dialogue: RedactedDialogue) -> Iterator[Finding]:
        if any(turn.text.strip() for turn in dialogue.turns):
            predictions = self._encoder.predict(
                [(_role(turn), turn.text) for turn in dialogue.turns]
            )
            yield from findings_of(
                dialogue,
                predictions,
                self._encoder.calibration,
                thresholds=self._encoder.thresholds,
                red_flags=self._red_flags,
                producer=f"turn-findings/{self._encoder.version}",
            )


def findings_of(
    dialogue: RedactedDialogue,
    predictions: Predictions,
    calibration: Calibration,
    *,
    thresholds: dict[str, dict[str, float]],
    red_flags: RedFlags,
    producer: str,
) -> tuple[Finding, ...]:
    """The findings of ``predictions`` and ``red_flags``; ``thresholds`` by task and label."""
    by_turn: dict[int, list[Finding]] = {}
    probabilities = {
        task: calibration.probabilities(task, logits, predictions.word_turns[task])
        for task, logits in predictions.turns.items()
    }
    has_opportunity = -1
    for turn in dialogue.turns:
        if turn.is_doubtful or not turn.text.strip():
            continue
        place = _whole(turn)
        for task in _tasks_of(_role(turn)):
            row = [float(p) for p in probabilities[task][turn.index]]
            is_due = task == RESPONSE and 0 < turn.index - has_opportunity <= _RESPONSE_REACH
            if task == RESPONSE and not _follows_caller(dialogue, turn):
                continue
            if task in EXCLUSIVE_TASKS:
                named = _exclusive(task, row, thresholds[task], is_due=is_due)
            else:
                named = [
                    (label, p)
                    for label, p in zip(LABELS[task], row, strict=True)
                    if p >= thresholds[task][label]
                ]
            for label, probability in named:
                by_turn.setdefault(turn.index, []).append(
                    Finding(
                        task=task,
                        label=label,
                        producer=producer,
                        probability=round(probability, 4),
                        confidence=round(probability, 4),
                        evidence=place,
                    )
                )
            if task == "opportunity" and named:
                has_opportunity = turn.index
            elif task == RESPONSE:
                has_opportunity = -_RESPONSE_REACH - 1
    for match in red_flags.find(dialogue):
        if dialogue.turns[match.evidence.turn_index].is_doubtful:
            continue
        by_turn.setdefault(match.evidence.turn_index, []).append(
            Finding(
                task=RED_FLAG,
                label=match.code,
                producer=f"{RULE_PRODUCER}{red_flags.version}",
                probability=None,
                confidence=rule_confidence(match.level, is_answer=match.is_answer),
                evidence=match.evidence,
            )
        )
    findings = [finding for index in sorted(by_turn) for finding in by_turn[index]]
    return (*findings, *_call_types(dialogue, predictions, calibration, thresholds, producer))


def _exclusive(
    task: str, row: Sequence[float], thresholds: dict[str, float], *, is_due: bool
) -> list[tuple[str, float]]:
    """The labels to name of an exclusive task, surest first; ``row`` begins with "none of them".

    Of urgency every level is named that is likely enough, since missing one costs most. A response
    that is due is named whatever its probability, out of the levels there are.
    """
    labels = list(zip(LABELS[task], row[1:], strict=True))
    labels.sort(key=lambda pair: -pair[1])
    if task == URGENCY_CUE:
        return [(label, p) for label, p in labels if p >= thresholds[label]]
    label, probability = labels[0]
    if task == RESPONSE and label == "none" and not is_due:
        return []
    some = 1 - row[0]
    if is_due and some > 0:
        return [(label, probability / some)]
    return (
        [(label, some if task == "opportunity" else probability)]
        if (some >= thresholds[label])
        else []
    )


def _call_types(
    dialogue: RedactedDialogue,
    predictions: Predictions,
    calibration: Calibration,
    thresholds: dict[str, dict[str, float]],
    producer: str,
) -> Iterator[Finding]:
    usable = [turn for turn in dialogue.turns if turn.text.strip() and not turn.is_doubtful]
    if not usable:
        return
    telling = max(usable, key=lambda turn: float(predictions.weights[turn.index]))
    assert predictions.word_call_type is not None
    row = calibration.probabilities(CALL_TYPE, predictions.call_type, predictions.word_call_type)
    ranked = sorted(zip(LABELS[CALL_TYPE], row, strict=True), key=lambda pair: -pair[1])
    for rank, (label, probability) in enumerate(ranked):
        if rank == 0 or probability >= thresholds[CALL_TYPE][label]:
            yield Finding(
                task=CALL_TYPE,
                label=label,
                producer=producer,
                probability=round(float(probability), 4),
                confidence=round(float(probability), 4),
                evidence=_whole(telling),
            )


def _role(turn: RedactedTurn) -> Role:
    """The turn's role where it is certain enough."""
    return turn.role if turn.role_confidence >= _CERTAIN_ROLE else Role.UNKNOWN


def _tasks_of(role: Role) -> tuple[str, ...]:
    if role in AGENT_ROLES:
        return AGENT_TASKS
    if role in CALLER_ROLES:
        return CALLER_TASKS
    return (RED_FLAG, URGENCY_CUE) if role is Role.UNKNOWN else ()


def _follows_caller(dialogue: RedactedDialogue, turn: RedactedTurn) -> bool:
    """Whether there is something that an agent's turn can respond to."""
    return any(
        before.role in CALLER_ROLES
        for before in dialogue.turns[max(0, turn.index - _RESPONSE_REACH) : turn.index]
    )


def _whole(turn: RedactedTurn) -> Evidence:
    start = len(turn.text) - len(turn.text.lstrip())
    return Evidence(turn_index=turn.index, start=start, end=len(turn.text.rstrip()))
