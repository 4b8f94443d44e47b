"""The redactor: presidio-analyzer finds, presidio-anonymizer replaces, offsets and times kept."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from qa_monitor.calls import (
    Dialogue,
    RedactedDialogue,
    RedactedTurn,
    Span,
    Turn,
    Word,
)
from qa_monitor.errors import ModelError, QAMonitorError, RedactionError
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.canonical import CanonicalValues
from qa_monitor.redaction.extend import extend_codes, extend_organisations
from qa_monitor.redaction.names import extend_names
from qa_monitor.redaction.places import extend_places
from qa_monitor.redaction.repeats import find_repeats
from qa_monitor.redaction.settings import load_settings
from qa_monitor.redaction.spans import Numbering, merge, redacted_words, word_offsets
from qa_monitor.redaction.tagged import without_denied

if TYPE_CHECKING:
    from qa_monitor.redaction.recognizers import CallArtifacts

__all__ = ["PresidioRedactor", "Redactor"]

_RULES_VERSION = "2"


@runtime_checkable
class Redactor(Protocol):
    """What takes the PHI out of a call."""

    @property
    def version(self) -> str:
        """What produced the output; it changes when the output may."""
        ...

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        """``dialogue`` redacted; raises ``RedactionError`` and then keeps nothing of the call."""
        ...


class PresidioRedactor:
    """Finds PHI in a call with presidio-analyzer and replaces it by ``<TYPE_n>``.

    ``model_dir`` holds the trained spaCy pipeline, ``tagger_dir`` the trained transformer (without
    it, redaction is weaker), ``recognizers_file`` replaces the shipped ``recognizers.toml``.
    Nothing is fetched and nothing of a call is logged. Raises ``ModelError`` when a model cannot
    be read and ``ConfigError`` for a wrong recognizers file.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        tagger_dir: Path | None = None,
        recognizers_file: Path | None = None,
    ) -> None:
        self._settings = load_settings(recognizers_file)
        from presidio_anonymizer import AnonymizerEngine

        from qa_monitor.redaction import recognizers

        kind = ""
        try:
            is_tagged = "call_tagger" in self._settings.recognizers
            self._engine = recognizers.CallEngine(
                model_dir, self._settings.locale.language, tagger_dir if is_tagged else None
            )
            self._analyzer = recognizers.build_analyzer(self._settings, self._engine)
        except Exception as error:  # noqa: BLE001 - any fault of an engine means no redactor
            kind = type(error).__name__
        if kind:
            raise ModelError(
                "A redaction model cannot be read. Install it again or train it with "
                "`python -m qa_monitor.training.ner` and `python -m qa_monitor.training.tagger`.",
                kind=kind,
            )
        self._anonymizer = AnonymizerEngine()
        presidio = importlib.metadata.version("presidio-analyzer")
        self._version = (
            f"rules-{_RULES_VERSION}+file-{self._settings.version}"
            f"+{'+'.join(self._settings.locale.codes)}"
            f"+{self._engine.version}+presidio-{presidio}"
        )

    @property
    def version(self) -> str:
        """Rules, recognizers file, model and presidio, as one string."""
        return self._version

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        """``dialogue`` with every value found replaced by a placeholder, the same for the same.

        Raises ``RedactionError`` on any fault, without words of the call: nothing is kept of a call
        whose redaction failed.
        """
        kind = ""
        turns: tuple[RedactedTurn, ...] = ()
        try:
            turns = self._redact(dialogue)
        except QAMonitorError as error:
            kind = error.kind or type(error).__name__
        except Exception as error:  # noqa: BLE001 - fails closed whatever an engine raises
            kind = type(error).__name__
        if kind:
            raise RedactionError(
                f"Redaction of call {dialogue.call_id} failed ({kind}); nothing of it was kept. "
                "Score it again; if it fails again, report the kind.",
                call_id=dialogue.call_id,
                kind=kind,
            )
        return RedactedDialogue(
            call_id=dialogue.call_id,
            language=dialogue.language,
            asr_model=dialogue.asr_model,
            redactor_version=self.version,
            dropped_s=dialogue.dropped_s,
            turns=turns,
        )

    def _redact(self, dialogue: Dialogue) -> tuple[RedactedTurn, ...]:
        call = CallText(dialogue, self._settings.locale)
        by_turn: list[list[Found]] = [[] for _ in dialogue.turns]
        for found in self._find(call):
            by_turn[call.turn_at(found.start)].append(found)
        numbering = Numbering()
        numbering.reserve(call.text)
        canonical = CanonicalValues(call)
        return tuple(
            self._redact_turn(turn, call.turn_starts[index], by_turn[index], numbering, canonical)
            for index, turn in enumerate(dialogue.turns)
        )

    def _find(self, call: CallText) -> list[Found]:
        """All PHI of the call, merged, in order."""
        from qa_monitor.redaction.recognizers import analyze

        if not call.tokens:
            return []
        artifacts: CallArtifacts = self._engine.artifacts(call)
        found = analyze(self._analyzer, artifacts, self._settings)
        if artifacts.tags is not None:
            found = without_denied(call, artifacts.tags, found)
        found = extend_places(call, extend_names(call, found, self._settings))
        found = extend_codes(
            call, extend_organisations(call, found, self._settings), self._settings
        )
        merged = merge(call, found, self._settings)
        if "repeated_values" in self._settings.recognizers:
            repeats = find_repeats(call, merged + found, self._settings, artifacts.tags)
            enabled = [f for f in repeats if f.entity_type in self._settings.thresholds]
            if artifacts.tags is not None:
                enabled = without_denied(call, artifacts.tags, enabled)
            merged = merge(call, merged + enabled, self._settings)
        return merged

    def _redact_turn(
        self,
        turn: Turn,
        turn_start: int,
        found: list[Found],
        numbering: Numbering,
        canonical: CanonicalValues,
    ) -> RedactedTurn:
        from presidio_anonymizer.entities import RecognizerResult

        # The numbered type is presidio's entity, so that its stock operator `replace` writes the
        # placeholder and reports where.
        numbers = [numbering.number(f.entity_type, canonical.value(f)) for f in found]
        results = [
            RecognizerResult(
                entity_type=f"{f.entity_type}_{number}",
                start=f.start - turn_start,
                end=f.end - turn_start,
                score=f.score,
            )
            for f, number in zip(found, numbers, strict=True)
        ]
        replaced = self._anonymizer.anonymize(turn.text, results, merge_entities_with_spaces=False)
        items = sorted(replaced.items, key=lambda item: item.start)
        if len(items) != len(found):
            raise RedactionError("placeholders and spans differ", kind="SpanMismatch")
        offsets = word_offsets(turn)
        spans: list[Span] = []
        for f, item in zip(found, items, strict=True):
            source_start, source_end = f.start - turn_start, f.end - turn_start
            start_s, end_s = _times(turn, offsets, source_start, source_end)
            spans.append(
                Span(
                    start=item.start,
                    end=item.end,
                    source_start=source_start,
                    source_end=source_end,
                    entity_type=f.entity_type,
                    recognizer=f.recognizer,
                    confidence=min(1.0, f.score),
                    start_s=start_s,
                    end_s=end_s,
                    context=f.context,
                )
            )
        return RedactedTurn(
            index=turn.index,
            speaker=turn.speaker,
            role=turn.role,
            role_confidence=turn.role_confidence,
            start_s=turn.start_s,
            end_s=turn.end_s,
            text=replaced.text,
            words=()
            if offsets is None
            else tuple(
                redacted_words(
                    offsets, [(s.source_start, s.source_end, s.start, s.end) for s in spans]
                )
            ),
            spans=tuple(spans),
            is_doubtful=turn.is_doubtful,
        )


def _times(
    turn: Turn, offsets: list[tuple[int, int, Word]] | None, start: int, end: int
) -> tuple[float | None, float | None]:
    """When ``[start, end)`` of the turn is said: over all words it touches."""
    if not turn.words:
        return None, None
    touched = (
        list(turn.words)
        if offsets is None
        else [word for left, right, word in offsets if left < end and right > start]
    )
    if not touched:
        # Between words there is nothing to hear; the whole turn is the safe answer.
        touched = list(turn.words)
    return min(word.start_s for word in touched), max(word.end_s for word in touched)
