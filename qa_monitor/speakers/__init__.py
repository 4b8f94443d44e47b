"""Who speaks when, and who that is: ``assign_speakers`` turns a transcript into a dialogue."""

from __future__ import annotations

from qa_monitor.speakers.turns import assign_speakers

__all__ = ["assign_speakers"]
