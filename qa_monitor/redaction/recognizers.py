"""The recognizers as presidio-analyzer runs them; importing this module imports presidio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from qa_monitor.calls import EntityType
from qa_monitor.redaction.ages import find_ages
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.checksums import CHECKSUMS
from qa_monitor.redaction.dates import find_dates
from qa_monitor.redaction.expectation import Cue, answering_turns, expectations, find_cues
from qa_monitor.redaction.identifiers import find_identifiers
from qa_monitor.redaction.locales import WrittenPattern
from qa_monitor.redaction.model_names import is_known_word, plausible_entity
from qa_monitor.redaction.names import find_introduced_names, find_unknown_names
from qa_monitor.redaction.places import find_addresses, find_named_places
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.tagged import find_tagged
from qa_monitor.redaction.tagger import PhiTagger, TagProbabilities
from qa_monitor.redaction.web import find_web_addresses

__all__ = ["CallArtifacts", "CallEngine", "build_analyzer"]

_CONTEXT_KEY = "context"
_VALUE_KEY = "value"
_MODEL_SCORE = 0.6
_SURE_SCORE = 0.75
"""From here on the tagger needs no word list to agree."""


class CallArtifacts(NlpArtifacts):  # type: ignore[misc]
    """What the trained pipeline says of a call, with the call itself for the other recognizers."""

    def __init__(
        self,
        doc: Any,
        engine: CallEngine,
        call: CallText,
        cues: list[list[Cue]],
        tags: TagProbabilities | None,
    ) -> None:
        super().__init__(
            entities=list(doc.ents),
            tokens=doc,
            tokens_indices=[],
            lemmas=[],
            nlp_engine=engine,
            language=engine.language,
            scores=[_MODEL_SCORE] * len(doc.ents),
        )
        self.call = call
        self.cues = cues
        self.tags = tags


class CallEngine(NlpEngine):  # type: ignore[misc]
    """The models trained for this product, read from their folders and from nowhere else."""

    def __init__(self, model_dir: Path, language: str, tagger_dir: Path | None = None) -> None:
        self.language = language
        self._tagger = PhiTagger(tagger_dir) if tagger_dir is not None else None
        # An absolute path object: spaCy takes a plain name for an installed package.
        self._nlp = spacy.load(model_dir.resolve())

    @property
    def version(self) -> str:
        """The versions in the models' own descriptions."""
        tagger = f"+phi-tagger-{self._tagger.version}" if self._tagger is not None else ""
        return f"phi-ner-{self._nlp.meta['version']}{tagger}"

    def load(self) -> None:
        """Nothing: the constructor has read the pipeline."""

    def is_loaded(self) -> bool:
        """True: an engine without its pipeline cannot be made."""
        return True

    def artifacts(self, call: CallText) -> CallArtifacts:
        """The whole call read once by each model, with its cues."""
        tags = self._tagger.tag(call) if self._tagger is not None else None
        return CallArtifacts(self._nlp(call.text), self, call, find_cues(call), tags)

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Refused: the recognizers need the turns of the call."""
        raise NotImplementedError("a call is analysed from its artifacts")

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,
        n_process: int = 1,
        **kwargs: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Refused, as ``process_text``."""
        raise NotImplementedError("a call is analysed from its artifacts")

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002
        """Whether the pipeline counts ``word`` among the stop words."""
        return bool(self._nlp.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002
        """Whether ``word`` is a mark."""
        return bool(self._nlp.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        """The labels the pipeline was trained for."""
        return sorted(self._nlp.get_pipe("ner").labels)

    def get_supported_languages(self) -> list[str]:
        """The one language of the settings."""
        return [self.language]


class _CallRecognizer(EntityRecognizer):  # type: ignore[misc]
    """One of the product's finders in presidio's terms."""

    def __init__(
        self,
        name: str,
        entities: list[EntityType],
        language: str,
        find: Callable[[CallArtifacts], list[Found]],
    ) -> None:
        self._find = find
        super().__init__(
            supported_entities=[entity.value for entity in entities],
            name=name,
            supported_language=language,
        )

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self,
        text: str,  # noqa: ARG002
        entities: list[str],
        nlp_artifacts: CallArtifacts,
    ) -> list[RecognizerResult]:
        """The finder's results; ``text`` is that of the artifacts' call."""
        return [
            RecognizerResult(
                entity_type=found.entity_type.value,
                start=found.start,
                end=found.end,
                score=found.score,
                recognition_metadata={
                    RecognizerResult.RECOGNIZER_NAME_KEY: found.recognizer,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                    _CONTEXT_KEY: found.context,
                    _VALUE_KEY: found.value,
                },
            )
            for found in self._find(nlp_artifacts)
            if found.entity_type.value in entities
        ]


class _WrittenRecognizer(PatternRecognizer):  # type: ignore[misc]
    """A written pattern in presidio's terms; a match whose check digit is wrong is dropped."""

    def __init__(self, pattern: WrittenPattern, language: str) -> None:
        self._is_right = CHECKSUMS[pattern.checksum] if pattern.checksum else None
        super().__init__(
            supported_entity=pattern.entity_type.value,
            name=pattern.name,
            supported_language=language,
            patterns=[Pattern(pattern.name, pattern.regex, pattern.score)],
        )

    def invalidate_result(self, pattern_text: str) -> bool | None:
        """Whether the check digit is wrong; ``None`` where the pattern has none."""
        return None if self._is_right is None else not self._is_right(pattern_text)


class _OrderedRegistry(RecognizerRegistry):  # type: ignore[misc]
    """A registry whose recognizers run in one order, so that ties end alike in every run."""

    def get_recognizers(self, *args: Any, **kwargs: Any) -> list[EntityRecognizer]:
        """Presidio's choice, which comes as a set, in the order of addition."""
        chosen = set(map(id, super().get_recognizers(*args, **kwargs)))
        return [recognizer for recognizer in self.recognizers if id(recognizer) in chosen]


class _CallContext(ContextAwareEnhancer):  # type: ignore[misc]
    """Raises a written pattern's confidence, or mends its type, by the words around in the call.

    Presidio's own enhancer compares lemmas inside one text; what decides in a call is the question
    of the turn before, which the recognizers for spoken values have weighed already.
    """

    def __init__(self) -> None:
        super().__init__(
            context_similarity_factor=0.1,
            min_score_with_context_similarity=0.0,
            context_prefix_count=0,
            context_suffix_count=0,
        )

    def enhance_using_context(
        self,
        text: str,  # noqa: ARG002
        raw_results: list[RecognizerResult],
        nlp_artifacts: CallArtifacts,
        recognizers: list[EntityRecognizer],  # noqa: ARG002
        context: list[str] | None = None,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        """``raw_results``, surer where their type is announced; a phone may be a fax by it."""
        for result in raw_results:
            if _CONTEXT_KEY in result.recognition_metadata:
                continue
            cue, reason = _last_cue(nlp_artifacts, result.start)
            is_fax = cue is EntityType.FAX and result.entity_type == EntityType.PHONE
            if is_fax or cue == result.entity_type:
                result.entity_type = str(cue)
                result.score = min(result.score + self.context_similarity_factor, 1.0)
                result.recognition_metadata[_CONTEXT_KEY] = reason
        return raw_results


def _last_cue(artifacts: CallArtifacts, start: int) -> tuple[EntityType | None, str]:
    """What was announced last before ``start``, in its turn or by the question before, and how."""
    turn = artifacts.call.turn_at(start)
    before = [cue for cue in artifacts.cues[turn] if cue.end <= start]
    if before:
        return before[-1].entity_type, "words before"
    asked = artifacts.cues[turn - 1] if turn > 0 else []
    return (asked[-1].entity_type if asked else None), "question before"


def _from_model(artifacts: CallArtifacts, settings: RecognizerSettings) -> list[Found]:
    found: list[Found] = []
    for entity, score in zip(artifacts.entities, artifacts.scores, strict=True):
        plausible = plausible_entity(
            artifacts.call,
            artifacts.cues,
            settings,
            Found(
                start=entity.start_char,
                end=entity.end_char,
                entity_type=EntityType(entity.label_),
                score=score,
                recognizer="names_and_places",
            ),
        )
        if plausible is not None:
            found.append(plausible)
    return found


def _from_tagger(artifacts: CallArtifacts, settings: RecognizerSettings) -> list[Found]:
    """What the tagger finds; where it is not sure, only what the words allow."""
    if artifacts.tags is None:
        return []
    call, cues = artifacts.call, artifacts.cues
    found: list[Found] = []
    for f in find_tagged(call, artifacts.tags, answering_turns(call, cues)):
        if is_known_word(call, settings, f):
            continue
        is_sure = f.score >= _SURE_SCORE or f.entity_type is EntityType.DATE
        likely = f if is_sure else plausible_entity(call, cues, settings, f)
        if likely is not None:
            indices = call.tokens_between(likely.start, likely.end)
            expected = expectations(call, cues, indices.start, indices.stop - 1)
            reasons = [e.reason for e in expected if e.entity_type is likely.entity_type]
            found.append(replace(likely, context=reasons[0] if reasons else likely.context))
    return found


def build_analyzer(settings: RecognizerSettings, engine: CallEngine) -> AnalyzerEngine:
    """An analyzer with the recognizers of ``settings`` and no other, and no decision log."""
    finders: dict[str, tuple[list[EntityType], Callable[[CallArtifacts], list[Found]]]] = {
        "names_and_places": (
            [EntityType(label) for label in engine.get_supported_entities()],
            lambda a: _from_model(a, settings),
        ),
        "call_tagger": (
            list(EntityType),
            lambda a: _from_tagger(a, settings),
        ),
        "spoken_dates": ([EntityType.DATE], lambda a: find_dates(a.call)),
        "spoken_values": (
            list(EntityType),
            lambda a: find_identifiers(a.call, a.cues, settings),
        ),
        "spoken_ages": ([EntityType.AGE], lambda a: find_ages(a.call)),
        "spoken_addresses": ([EntityType.LOCATION], lambda a: find_addresses(a.call, a.cues)),
        "spoken_web": (
            [EntityType.EMAIL, EntityType.URL],
            lambda a: find_web_addresses(a.call, a.cues),
        ),
        "introduced_names": ([EntityType.PERSON], lambda a: find_introduced_names(a.call, a.cues)),
        "unknown_names": (
            [EntityType.PERSON, EntityType.LOCATION],
            lambda a: find_unknown_names(a.call, settings),
        ),
        "named_places": ([EntityType.ORGANIZATION], lambda a: find_named_places(a.call)),
    }
    registry = _OrderedRegistry(supported_languages=[settings.locale.language])
    recognizers: list[EntityRecognizer] = [
        _CallRecognizer(name, entities, settings.locale.language, find)
        for name, (entities, find) in finders.items()
        if name in settings.recognizers
    ]
    recognizers.extend(
        _WrittenRecognizer(pattern, settings.locale.language) for pattern in settings.patterns
    )
    recognizers.extend(
        PatternRecognizer(
            supported_entity=entity_type.value,
            name="denied_words",
            supported_language=settings.locale.language,
            deny_list=list(phrases),
        )
        for entity_type, phrases in settings.denied.items()
        if phrases
    )
    for recognizer in recognizers:
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=engine,
        log_decision_process=False,
        supported_languages=[settings.locale.language],
        context_aware_enhancer=_CallContext(),
    )


def analyze(
    analyzer: AnalyzerEngine, artifacts: CallArtifacts, settings: RecognizerSettings
) -> list[Found]:
    """All that the recognizers found in the call, over the thresholds of ``settings``."""
    results = analyzer.analyze(
        text=artifacts.call.text,
        language=settings.locale.language,
        entities=[entity.value for entity in settings.thresholds],
        nlp_artifacts=artifacts,
    )
    found: list[Found] = []
    for result in results:
        entity_type = EntityType(result.entity_type)
        if result.score < settings.thresholds.get(entity_type, 2.0):
            continue
        metadata = result.recognition_metadata
        found.append(
            Found(
                start=result.start,
                end=result.end,
                entity_type=entity_type,
                score=float(result.score),
                recognizer=metadata[RecognizerResult.RECOGNIZER_NAME_KEY],
                context=metadata.get(_CONTEXT_KEY),
                value=metadata.get(_VALUE_KEY),
            )
        )
    return sorted(found, key=lambda f: (f.start, f.end, f.entity_type, f.recognizer))
