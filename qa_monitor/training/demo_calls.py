r"""Makes the calls that ship for demonstrations, from the written training calls.

Each is redacted by the redactor that ships and read by the scorer that ships, and packed with what
its writer said of it::

    python -m qa_monitor.training.demo_calls --calls models/turn-findings/calls \
        --out qa_monitor/demo/calls.json.xz

About five minutes on one core; to be run again when redactor or scorer change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from qa_monitor.calls import Criterion, Dialogue, Turn
from qa_monitor.config import Config
from qa_monitor.demo.shipped import DemoCall, pack_calls
from qa_monitor.pipeline import build_redactor, build_scorer
from qa_monitor.redaction import Redactor
from qa_monitor.scoring import Scorer
from qa_monitor.training.labelled_calls import LabelledCall, read_calls

__all__ = ["demo_calls", "main"]


def demo_calls(folder: Path, redactor: Redactor, scorer: Scorer) -> Iterator[DemoCall]:
    """The calls of every writer in ``folder``, redacted and read."""
    written = (call for writer in sorted(folder.iterdir()) for call in read_calls(writer))
    for number, call in enumerate(written, start=1):
        redacted = replace(redactor.redact(_dialogue(call)), call_id=f"demo-{number:03d}")
        yield DemoCall(
            dialogue=redacted,
            findings=scorer.find(redacted),
            scorer_version=scorer.version,
            call_type=call.call_type,
            direction=call.direction,
            after_hours=call.after_hours,
            escalated=call.escalated,
            points={
                criterion: float(points)
                for criterion, points in (
                    (Criterion.EMPATHY, call.empathy),
                    (Criterion.ACTIVE_LISTENING, call.active_listening),
                    (Criterion.URGENCY, call.urgency),
                    (Criterion.ESCALATION, call.escalation_score),
                )
                if points is not None
            },
        )


def _dialogue(call: LabelledCall) -> Dialogue:
    return Dialogue(
        call_id=call.call_id,
        language="en",
        asr_model="written",
        dropped_s=0.0,
        turns=tuple(
            Turn(
                index=index,
                speaker=turn.role.value,
                role=turn.role,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=turn.text,
            )
            for index, turn in enumerate(call.turns)
        ),
    )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=Path, required=True, help="a folder for each writer")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    options = parser.parse_args()
    config = Config()
    made = demo_calls(options.calls, build_redactor(config), build_scorer(config))
    options.out.write_bytes(pack_calls(tuple(made)))


if __name__ == "__main__":
    main()
