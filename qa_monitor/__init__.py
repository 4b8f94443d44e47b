"""qa_monitor listens to every call of a health-care call centre.

What a Python user may import; importing loads no model::

    from qa_monitor import Monitor

    with Monitor() as monitor:
        for outcome in monitor.score(["recordings/"]):
            if outcome.record:
                print(outcome.call_id, outcome.record.scorecard.total)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Alert": "calls",
    "CallRecord": "calls",
    "Config": "config",
    "Criterion": "calls",
    "Monitor": "monitor",
    "Outcome": "pipeline",
    "QAMonitorError": "errors",
    "RedactedDialogue": "calls",
    "load_config": "config",
}

__all__ = [
    "Alert",
    "CallRecord",
    "Config",
    "Criterion",
    "Monitor",
    "Outcome",
    "QAMonitorError",
    "RedactedDialogue",
    "__version__",
    "load_config",
]

if TYPE_CHECKING:
    from qa_monitor.calls import Alert, CallRecord, Criterion, RedactedDialogue
    from qa_monitor.config import Config, load_config
    from qa_monitor.errors import QAMonitorError
    from qa_monitor.monitor import Monitor
    from qa_monitor.pipeline import Outcome


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f"qa_monitor.{_EXPORTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
