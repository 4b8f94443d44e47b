"""The form of a value by which it is the same value, however it is said or written."""

from __future__ import annotations

import re

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found, fold
from qa_monitor.redaction.dates import find_dates, spoken_numeric_date
from qa_monitor.redaction.spoken import find_runs

__all__ = ["CanonicalValues"]

_TEXTUAL = frozenset({EntityType.ORGANIZATION, EntityType.EMAIL, EntityType.URL})
_WEB = frozenset({EntityType.EMAIL, EntityType.URL})


class CanonicalValues:
    """The form of a finding by which equal values are told: case, titles, digits however said."""

    def __init__(self, call: CallText) -> None:
        self._call = call
        self._runs = {run.first: run for run in find_runs(call)}

    def value(self, found: Found) -> str:
        """The canonical value of ``found``, which is its own where its recognizer knew it."""
        call = self._call
        indices = call.tokens_between(found.start, found.end)
        if found.entity_type is EntityType.PERSON:
            return self._name(indices)
        if found.entity_type in _TEXTUAL:
            text = re.sub(r"[\W_]+", " ", fold(call.text[found.start : found.end])).strip()
            if found.entity_type not in _WEB:
                return text
            web = call.locale.web
            return " ".join(w for w in text.split() if w not in web.joints and w not in web.at)
        return found.value or self._characters(indices)

    def value_between(self, start: int, end: int, entity_type: EntityType) -> str:
        """The canonical value of ``[start, end)`` of the call's text, read anew."""
        return self.value(
            Found(
                start=start,
                end=end,
                entity_type=entity_type,
                score=1.0,
                recognizer="",
                value=self._date(start, end) if entity_type is EntityType.DATE else None,
            )
        )

    def _name(self, indices: range) -> str:
        run = self._runs.get(indices.start)
        if run is not None and run.last <= indices.stop and run.digits == 0 and run.letters > 2:
            return run.chars
        words = [self._call.tokens[i].norm for i in indices]
        return " ".join(w.removesuffix("'s") for w in words if w.isalpha() or "'" in w)

    def _date(self, start: int, end: int) -> str | None:
        for date in find_dates(self._call):
            if date.value and date.start < end and date.end > start:
                return date.value
        run = self._runs.get(self._call.tokens_between(start, end).start)
        if run is None:
            return None
        return spoken_numeric_date(run, is_day_first=self._call.locale.dates.is_day_first)

    def _characters(self, indices: range) -> str:
        pieces: list[str] = []
        position = indices.start
        while position < indices.stop:
            run = self._runs.get(position)
            if run is not None and run.last < indices.stop:
                pieces.append(run.chars)
                position = run.last + 1
                continue
            word = self._call.tokens[position].norm
            if word.isalnum() and word not in self._call.locale.talk.definite_article:
                pieces.append(word)
            position += 1
        return " ".join(pieces)
