"""The ``qa-monitor`` command: arguments, printing, exit codes.

Data goes to stdout, progress and messages to stderr. Every command takes ``--json``. Errors become
one line and the exit code of their class (see ``errors``).
"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from qa_monitor import __version__
from qa_monitor.calls import EntityType
from qa_monitor.commands.accounts import agents_app, users_app
from qa_monitor.commands.alerting import alert_json, alert_table, alerts
from qa_monitor.commands.common import (
    JsonFlag,
    account,
    console,
    monitor_of,
    print_json,
    print_text,
    say,
)
from qa_monitor.commands.demo import demo_data
from qa_monitor.commands.keeping import delete, hold_app, retention
from qa_monitor.commands.reviewing import labelled_calls
from qa_monitor.commands.serving import serve
from qa_monitor.commands.watching import watch
from qa_monitor.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SOME_FAILED,
    DeliveryError,
    LeakError,
    QAMonitorError,
    StoreError,
    UsageError,
)

if TYPE_CHECKING:
    from rich.table import Table

    from qa_monitor.calls import (
        CallRecord,
        Effect,
        Evidence,
        Measure,
        RedactedDialogue,
        Score,
        Scorecard,
        Verification,
    )
    from qa_monitor.monitor import ListedRubric, Monitor, Verified
    from qa_monitor.pipeline import Observer, Outcome
    from qa_monitor.rescoring import Rescored, RescoringSummary
    from qa_monitor.store import CardSummary, RubricComparison

__all__ = ["app", "main"]

_EXIT_CODES = """
Exit codes: 0 done; 1 a fault of qa-monitor; 2 wrong command; 3 configuration, policy or rubric;
4 recording; 5 call records; 6 model; 7 a stage failed; 8 database or disk; 9 alert delivery;
10 no such call, agent or model; 11 some calls of a batch failed, the rest is done; 12 PHI can be
heard in a redacted recording; 13 not allowed; 130 stopped.
"""

_DASH = "–"
_TELLING_POINTS = 0.1


class TextFormat(StrEnum):
    """What a text can be; the names are those of ``redaction.documents``."""

    TEXT = "text"
    CHAT = "chat"
    VTT = "vtt"
    SRT = "srt"
    JSON = "json"
    JSONL = "jsonl"


class ReportFormat(StrEnum):
    """What a report is written as."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


# --- printing ------------------------------------------------------------------------------------


class _Guarded(TyperGroup):
    """A command group whose every command ends in a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """What the command returns; errors end the program, without a traceback."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                # Here and not when the program ends, where a failure has neither message nor code.
                sys.stdout.flush()
        except QAMonitorError as error:
            say(f"qa-monitor: {error.message}")
            code = error.exit_code
        except KeyboardInterrupt:
            say("qa-monitor: stopped. What was done is kept; run the same command to go on.")
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            # The reader of stdout went away (`| head`); nothing is wrong.
            _drop_stdout()
            code = EXIT_OK
        except OSError as error:
            if error.filename is None:
                # Errors of files that the product opens have a name and are translated there.
                _drop_stdout()
                say(
                    f"qa-monitor: the output cannot be written ({error.strerror}). Free disk "
                    "space, and run the same command again; what was stored is kept."
                )
                code = StoreError.exit_code
            else:
                code = _report_fault(error)
        except Exception as error:
            # The command-line library's own ways to end, usage errors among them, go on to it.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort):
                raise
            code = _report_fault(error)
        raise typer.Exit(code)


def _drop_stdout() -> None:
    """Let what is still to be written to stdout go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_fault(error: Exception) -> int:
    """Say where a fault of our own lies, without its message, which may quote a call."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "qa_monitor" in frame.filename
    ]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    say(
        f"qa-monitor: internal fault ({type(error).__name__} at {place}). "
        f"Please report this line and the version, {__version__}."
    )
    return EXIT_INTERNAL


# --- the application -----------------------------------------------------------------------------

app = typer.Typer(
    cls=_Guarded,
    help="Listens to every call of a health-care call centre: redacted transcripts, scores with "
    "evidence, alerts and per-agent reports, on your own machines.",
    epilog=_EXIT_CODES.strip().replace("\n", " "),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
report_app = typer.Typer(help="Write feedback reports.", no_args_is_help=True)
models_app = typer.Typer(help="List, fetch and try recogniser models.", no_args_is_help=True)
rubrics_app = typer.Typer(help="List rubrics and hold two side by side.")
app.add_typer(report_app, name="report")
app.add_typer(rubrics_app, name="rubrics")
app.add_typer(models_app, name="models")
app.add_typer(users_app, name="users")
app.add_typer(agents_app, name="agents")
app.add_typer(hold_app, name="hold")


def _version(wanted: bool) -> None:
    if wanted:
        print_text(f"qa-monitor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file; else QA_MONITOR_CONFIG, ./qa-monitor.toml, the user's."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    ctx.obj = config


@app.command(epilog="Example: qa-monitor score recordings/ --metadata calls.csv")
def score(
    ctx: typer.Context,
    paths: Annotated[list[str], typer.Argument(help="Recordings, folders of them, or globs.")],
    metadata: Annotated[
        Path | None, typer.Option(help="Call records: CSV, JSON or JSON Lines, joined by 'file'.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Score anew what is scored already, as a new run.")
    ] = False,
    reports: Annotated[
        bool, typer.Option(help="Write the HTML reports of the agents afterwards.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Score recordings: transcribe, redact, score, alert, report. Does only what is missing."""
    with monitor_of(ctx) as monitor:
        with _progress() as observer:
            outcomes = monitor.score(paths, metadata=metadata, again=again, observer=observer)
        # Once more at once, whatever waits: who is told here of what failed can act on it.
        delivery = monitor.deliver_alerts(retry_now=True)
        written = monitor.write_reports() if reports and monitor.store.agents() else ()
        _tell_outcomes(outcomes)
        for problem in delivery.problems:
            say(f"qa-monitor: {problem.message}")
        if as_json:
            print_json(
                {
                    "calls": [_outcome_json(outcome, monitor) for outcome in outcomes],
                    "alerts": [alert_json(alert) for alert in _alerts_of(outcomes, monitor)],
                    "reports": [str(path) for path in written],
                }
            )
        else:
            _print_score_tables(outcomes, monitor)
            if written:
                console().print(
                    f"\nReports of {len(written) - 1} agents: {written[-1]}",
                    markup=False,
                    soft_wrap=True,
                )
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if len(failed) == len(outcomes) == 1 and failed[0].error is not None:
            raise typer.Exit(failed[0].error.exit_code)
        if failed:
            raise typer.Exit(EXIT_SOME_FAILED)
        if delivery.problems:
            raise typer.Exit(DeliveryError.exit_code)


@app.command(epilog="Example: qa-monitor show samples-c1003")
def show(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Call id, as in the table of score.")],
    rubric: Annotated[
        str | None,
        typer.Option(metavar="NAME-VERSION", help="The score card of another rubric of the call."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one call: scores with reasons and evidence, transcript, measures, alerts."""
    with monitor_of(ctx) as monitor:
        record = monitor.record(call, rubric=rubric)
        cards = monitor.cards(record.call_id)
        alerts = monitor.store.alerts(call_id=record.call_id)
        measures = monitor.measures(record)
        if as_json:
            print_json(
                {
                    **_record_json(record),
                    "measures": [_measure_json(measure) for measure in measures],
                    "cards": _jsonable(cards),
                    "alerts": [alert_json(alert) for alert in alerts],
                }
            )
            return
        _print_record(record)
        _print_measures(measures)
        if len(cards) > 1:
            _print_cards(cards, record.scorecard.rubric_version)
        if alerts:
            console().print(alert_table(alerts))


_DAYS = ["%Y-%m-%d"]


@app.command(epilog="Example: qa-monitor rescore --rubric stricter.toml --dry-run")
def rescore(
    ctx: typer.Context,
    calls: Annotated[
        list[str] | None, typer.Argument(metavar="[CALL]...", help="Call ids; none: all.")
    ] = None,
    rubric: Annotated[
        Path | None, typer.Option(help="Rubric file; else the configured one of each call.")
    ] = None,
    beside: Annotated[
        bool,
        typer.Option("--beside", help="Keep the card beside the one in use, which stays in use."),
    ] = False,
    agent: Annotated[str | None, typer.Option(help="Only calls of this agent.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only calls of this queue.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="Only calls from this day on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="Only calls before this day (UTC).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change, and store nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score stored calls by a new rubric, without recordings or models, and show what changes."""
    from qa_monitor.rescoring import summarise

    since, until = (day.replace(tzinfo=UTC) if day else None for day in (since, until))
    with monitor_of(ctx) as monitor, _progress() as observer:
        results = monitor.rescore(
            calls,
            rubric_file=rubric,
            beside=beside,
            dry_run=dry_run,
            agent_id=agent,
            queue=queue,
            since=since,
            until=until,
            observer=observer,
        )
    summary = summarise(results)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "calls": [_rescored_json(result) for result in results],
                "summary": _jsonable(summary),
            }
        )
    elif summary.failed < len(results):
        _print_rescored(results)
        _print_summary(summary)
    _tell_rescored(results, is_tried=dry_run)
    if summary.failed == len(results) == 1 and results[0].error is not None:
        raise typer.Exit(results[0].error.exit_code)
    if summary.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@app.command("swap-roles", epilog="Example: qa-monitor swap-roles calls-10423")
def swap_roles(
    ctx: typer.Context,
    call: Annotated[str, typer.Argument(help="Call id, as in the table of score.")],
    as_json: JsonFlag = False,
) -> None:
    """Say that agent and caller were mistaken for each other; score the stored text anew."""
    with monitor_of(ctx) as monitor:
        result = monitor.swap_roles(call)
    if as_json:
        print_json(_rescored_json(result))
    else:
        _print_rescored([result])
    _tell_rescored([result])


@rubrics_app.callback(invoke_without_command=True, epilog="Example: qa-monitor rubrics --json")
def rubrics(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """List the rubrics that are configured and those of stored score cards."""
    if ctx.invoked_subcommand is not None:
        return
    with monitor_of(ctx) as monitor:
        found = monitor.rubrics()
    if as_json:
        print_json(_jsonable(found))
    else:
        _print_rubrics(found)


@rubrics_app.command(
    "compare", epilog="Example: qa-monitor rubrics compare default-2026.12 strict-1"
)
def rubrics_compare(
    ctx: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="Name and version, as listed.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The rubric to hold beside it.")],
    as_json: JsonFlag = False,
) -> None:
    """Hold two rubrics side by side over the calls that have a score card of both."""
    with monitor_of(ctx) as monitor:
        found = monitor.compare_rubrics(first, second)
    if as_json:
        print_json(_jsonable(found))
    else:
        _print_comparison(found)


@report_app.command("agent", epilog="Example: qa-monitor report agent agent-02 --format csv")
def report_agent(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Agent id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every agent, and an index.")] = False,
    report_format: Annotated[
        ReportFormat,
        typer.Option("--format", help="html is written to a file, json and csv printed."),
    ] = ReportFormat.HTML,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only calls from this day on (UTC)."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only calls before this day (UTC)."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead (one agent).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the report of one agent, or of all: trend, scores against the team, one next step."""
    from qa_monitor.monitor import write_private
    from qa_monitor.reports import render_csv, render_html, render_json

    if (name is None) == (not every):
        raise UsageError("name one agent, or give --all.")
    if every and output:
        raise UsageError("--output takes one agent's report; leave out --all.")
    since, until = (day.replace(tzinfo=UTC) if day else None for day in (since, until))
    if as_json:
        report_format = ReportFormat.JSON
    with monitor_of(ctx) as monitor:
        if report_format is ReportFormat.HTML and not output:
            agents = None if every else [str(name)]
            for path in monitor.write_reports(agents, since=since, until=until):
                print_text(str(path))
            return
        found = monitor.agent_reports(None if every else [str(name)], since=since, until=until)
    if report_format is ReportFormat.JSON and every:
        print_json([json.loads(render_json(report)) for report in found])
        return
    render: Callable[[Any], str] = {
        ReportFormat.HTML: render_html,
        ReportFormat.JSON: render_json,
        ReportFormat.CSV: render_csv,
    }[report_format]
    for position, report in enumerate(found):
        text = render(report)
        if output:
            written = str(write_private(output, text))
            if as_json:
                print_json({"file": written})
            else:
                print_text(written)
        else:
            # One header is enough for the CSV of several agents.
            lines = text.splitlines(keepends=True)
            print_text(
                "".join(lines[1:] if position and report_format is ReportFormat.CSV else lines)
            )


@app.command(epilog="Example: qa-monitor redact chat.txt captions.vtt --output redacted/")
def redact(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Texts (notes, chats, WebVTT, SRT, JSON, JSON Lines; - for stdin) or recordings."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where the redacted text or sound (.flac, .wav) goes; of several files, a folder, "
            "in which they are numbered: file names carry people's names.",
        ),
    ] = None,
    text_format: Annotated[
        TextFormat | None,
        typer.Option("--format", help="What the texts are; else told by what stands in them."),
    ] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE=OPERATOR",
            help="What is written for a type: replace (<PHONE_1>), mask, mask:4 (the last four "
            "stay), hash. Texts only; may be repeated.",
        ),
    ] = None,
    keep: Annotated[
        list[EntityType] | None,
        typer.Option(
            case_sensitive=False,
            help="Leave the values of a type as they are; it is logged who does. Texts only.",
        ),
    ] = None,
    why: Annotated[
        bool,
        typer.Option("--why", help="Print what was redacted and why, without its words."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Redact texts, which come back the same in all else, or recordings: transcript and sound."""
    wanted: dict[str, Any] = {
        "kind": text_format,
        "operators": _operators_named(operator or []),
        "keep": keep or [],
    }
    is_batch = len(files) > 1
    if is_batch and output and output.exists() and not output.is_dir():
        raise UsageError("several files are written into a folder; --output names a file.")
    results: list[dict[str, Any]] = []
    has_failed = False
    with monitor_of(ctx) as monitor:
        for position, file in enumerate(files, start=1):
            number = position if is_batch else None
            try:
                redacted = _redact_file(monitor, file, output, number, wanted)
            except QAMonitorError as error:
                if not is_batch:
                    raise
                has_failed = True
                say(f"qa-monitor: file {position}: {error.message}")
                results.append({"position": position, "error": _error_json(error)})
                continue
            if as_json:
                results.append(
                    redacted.json if number is None else {"position": position, **redacted.json}
                )
            elif why:
                console().print(_why_table(redacted.calls, number))
            else:
                redacted.show()
    if as_json:
        print_json(results if is_batch else results[0])
    if has_failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@app.command(epilog="Example: qa-monitor verify calls-10423 quiet.flac")
def verify(
    ctx: typer.Context,
    targets: Annotated[
        list[str] | None, typer.Argument(help="Call ids, or redacted recordings.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every redacted recording that is kept.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Listen to redacted recordings again: can PHI still be heard, and where? Prints no words."""
    if bool(targets) == every:
        raise UsageError("name calls or redacted recordings, or give --all.")
    with monitor_of(ctx) as monitor:
        with _progress() as observer:
            found = monitor.verify(None if every else targets, observer=observer)
        heard = [one.verification for one in found if one.verification is not None]
        if heard:
            _warn_of_demonstration(monitor)
    if as_json:
        print_json([_verified_json(one) for one in found])
    else:
        _print_verified(found)
    failed = [one.error for one in found if one.error is not None]
    for error in failed:
        say(f"qa-monitor: {error.message}")
    leaks = sum(verification.verdict == "leak" for verification in heard)
    if leaks:
        raise LeakError(
            f"PHI can be heard in {leaks} of {len(found)} redacted recordings. Calls that are kept "
            "are marked for review; listen, and delete or redact again what leaks."
        )
    if failed:
        raise typer.Exit(failed[0].exit_code if len(found) == 1 else EXIT_SOME_FAILED)


@app.command(epilog="Example: qa-monitor transcribe call.wav --json")
def transcribe(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A recording.")],
    unredacted: Annotated[
        bool, typer.Option("--unredacted", help="Print what was said, PHI and all.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Transcribe one recording, redacted unless told otherwise. Nothing is stored."""
    with monitor_of(ctx) as monitor, _progress() as observer:
        if unredacted:
            dialogue: Any = monitor.transcribe(file, observer=observer)
        else:
            dialogue = monitor.redact_recording(file, output=None, observer=observer)
        _warn_of_demonstration(monitor)
    if unredacted:
        say("qa-monitor: this transcript holds protected health information.")
    if as_json:
        print_json(_jsonable(dialogue))
    else:
        _print_turns(dialogue)


@app.command(epilog="Example: qa-monitor evaluate labelled.jsonl --predictions out.jsonl")
def evaluate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Labelled calls, JSON Lines.")],
    predictions: Annotated[
        Path | None, typer.Option(help="Write what was predicted, a line per call.")
    ] = None,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Use the given turns even where there is audio.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure redaction and scores against labelled calls."""
    from qa_monitor.evaluation import evaluate_file, render_table

    with monitor_of(ctx) as monitor, _progress() as observer:
        figures = evaluate_file(
            file,
            monitor=monitor,
            predictions=predictions,
            listen=not text_only,
            observer=observer,
        )
    if as_json:
        print_json(figures)
    else:
        print_text(render_table(figures))


@models_app.command("list", epilog="Example: qa-monitor models list --json")
def models_list(as_json: JsonFlag = False) -> None:
    """List the installed models."""
    from rich.table import Table
    from rich.text import Text

    from qa_monitor.models import list_models

    found = list_models()
    if as_json:
        print_json(
            [
                {
                    "name": model.name,
                    "kind": model.kind,
                    "demonstration_only": model.demonstration_only,
                    "folder": str(model.path),
                }
                for model in found
            ]
        )
        return
    table = Table("model", "kind", "for", "folder")
    for model in found:
        table.add_row(
            model.name,
            model.kind,
            "demonstration" if model.demonstration_only else "production",
            Text(str(model.path)),
        )
    console().print(table)


@models_app.command("pull", epilog="Example: qa-monitor models pull large-v3-turbo")
def models_pull(
    name: Annotated[str, typer.Argument(help="A faster-whisper model name.")],
    endpoint: Annotated[
        str | None, typer.Option(help="A mirror of the model hub, as https://hub.example.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch a recogniser from the model hub and verify it. The one command that downloads."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from qa_monitor.models import pull

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(name, total=None)
        folder = pull(
            name,
            endpoint=endpoint,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"name": name, "folder": str(folder)})
    else:
        print_text(str(folder))


@models_app.command("path", epilog="Example: qa-monitor models path")
def models_path(
    name: Annotated[str | None, typer.Argument(help="A model; none: the user's folder.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print where models are kept, or where one lies."""
    from qa_monitor.models import find_model, user_models_folder

    folder = find_model(name) if name else user_models_folder()
    if as_json:
        print_json({"folder": str(folder)})
    else:
        print_text(str(folder))


@models_app.command(
    "check", epilog="Example: qa-monitor models check large-v3-turbo samples/expected.jsonl"
)
def models_check(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A model.")],
    labelled: Annotated[
        Path,
        typer.Argument(help="Labelled calls with audio, JSON Lines, as samples/expected.jsonl."),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Try a recogniser on recordings whose words are known, and print its word error rate."""
    from qa_monitor.evaluation import check_recogniser

    with monitor_of(ctx) as monitor, _progress() as observer:
        figures = check_recogniser(name, labelled, monitor=monitor, observer=observer)
    if as_json:
        print_json(figures)
    else:
        print_text(
            f"{name}: word error rate {figures['word_error_rate']:.1%} on {figures['words']} words "
            f"of {figures['calls']} calls, {figures['times_real_time']:.0f} times real time"
        )


@app.command(epilog="Example: qa-monitor init --data-folder /srv/qa-monitor")
def init(
    data_folder: Annotated[
        Path | None, typer.Option(help="Where database, audio and reports go.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a configuration here in which every setting is explained, and make the database."""
    from qa_monitor.config import CONFIG_NAME, write_default_config
    from qa_monitor.monitor import Monitor

    path = Path.cwd() / CONFIG_NAME
    write_default_config(path, data_folder=data_folder)
    with Monitor(path) as monitor:
        _ = monitor.store
        folder = monitor.config.data.folder
    if as_json:
        print_json({"config": str(path), "data_folder": str(folder)})
    else:
        print_text(f"configuration: {path}\ndata folder: {folder}")


# --- what is printed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    content: str = field(repr=False)
    encoding: str


def _read_text(file: Path, *, is_text: bool) -> _Text | None:
    """The text of ``file``, or ``None`` when it is none and need not be (``is_text``)."""
    problem = ""
    content = b""
    try:
        content = sys.stdin.buffer.read() if str(file) == _STDIN else file.read_bytes()
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise UsageError(f"the file cannot be read ({problem}).")
    if not content:
        raise UsageError("the file is empty; there is nothing to redact.")
    encoding = _ENCODINGS.get(content[:2], "utf-8")
    with suppress(UnicodeDecodeError):
        text = content.decode(encoding)
        if "\0" not in text:
            return _Text(text, encoding)
    if is_text or str(file) == _STDIN or file.suffix.lower() in _TEXT_SUFFIXES:
        raise UsageError("the text is neither UTF-8 nor UTF-16. Convert it, with iconv for one.")
    return None


_STDIN = "-"
_ENCODINGS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_TEXT_SUFFIXES = frozenset(".txt .json .jsonl .ndjson .vtt .srt .md .csv .tsv .log".split())


@dataclass(frozen=True, slots=True)
class _Redacted:
    """A file redacted: why, as JSON, and how to print it."""

    calls: Sequence[RedactedDialogue]
    json: dict[str, Any] = field(repr=False)
    show: Callable[[], None]


def _redact_file(
    monitor: Monitor,
    file: Path,
    output: Path | None,
    number: int | None,
    wanted: Mapping[str, Any],
) -> _Redacted:
    text = _read_text(file, is_text=wanted["kind"] is not None)
    target = output
    if output and (number is not None or output.is_dir()):
        suffix = file.suffix.lower() if file.suffix.lower() in _TEXT_SUFFIXES else ".txt"
        target = output / f"{number or 1}{suffix if text else '.flac'}"
    if target and target.resolve() == file.resolve():
        raise UsageError("the output would replace the file; give it a name of its own.")
    if text is None:
        if any(wanted.values()):
            raise UsageError("--format, --operator and --keep are for texts; this is a recording.")
        with _progress() as observer:
            dialogue = monitor.redact_recording(file, output=target, observer=observer)
        _warn_of_demonstration(monitor)
        return _Redacted([dialogue], _jsonable(dialogue), lambda: _print_turns(dialogue))
    document = monitor.redact_text(text.content, suffix=file.suffix, by=account(), **wanted)
    if wanted["keep"]:
        counts = ", ".join(f"{name} ({document.kept.get(name, 0)})" for name in wanted["keep"])
        say(f"qa-monitor: left as it was: {counts}. Logged in {monitor.kept_log}.")
    as_json: dict[str, Any] = _jsonable(document)
    if target:
        from qa_monitor.monitor import write_private

        written = str(write_private(target, document.text, encoding=text.encoding))
        return _Redacted(document.calls, {"file": written, **as_json}, lambda: print_text(written))
    return _Redacted(
        document.calls, as_json, lambda: _print_exactly(document.text.encode(text.encoding))
    )


def _print_exactly(content: bytes) -> None:
    """``content`` to stdout as it is, whatever the terminal makes of it."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _operators_named(options: Sequence[str]) -> dict[EntityType, str]:
    """The operators of ``TYPE=OPERATOR`` options."""
    named: dict[EntityType, str] = {}
    for option in options:
        name, sign, operator = option.partition("=")
        if not sign or name.upper() not in EntityType.__members__:
            types = ", ".join(EntityType)
            raise UsageError(f"--operator {option}: give TYPE=OPERATOR, with a type of {types}.")
        named[EntityType(name.upper())] = operator
    return named


def _why_table(calls: Sequence[RedactedDialogue], number: int | None) -> Table:
    """What was redacted and why: places in the redacted text of each turn, and no words."""
    from rich.table import Table

    columns = ["turn", "place", "type", "recognizer", "context", "confidence"]
    is_timed = any(s.start_s is not None for c in calls for t in c.turns for s in t.spans)
    columns = [*["call"] * (len(calls) > 1), *["time"] * is_timed, *columns]
    title = "Redacted" if number is None else f"Redacted in file {number}"
    table = Table(*columns, title=title, title_justify="left")
    for call in calls:
        for turn in call.turns:
            for span in turn.spans:
                row = [
                    str(turn.index),
                    f"{span.start}{_DASH}{span.end}",
                    span.entity_type,
                    span.recognizer.replace("_", " "),
                    span.context or _DASH,
                    f"{span.confidence:.2f}",
                ]
                row = [_clock(span.start_s).strip(), *row] if is_timed else row
                table.add_row(*([call.call_id, *row] if len(calls) > 1 else row))
    return table


_DEMONSTRATION = (
    "heard by the demonstration recogniser, which knows synthetic voices only: do not trust text "
    "or scores. Fetch a production model: qa-monitor models pull large-v3-turbo"
)


def _warn_of_demonstration(monitor: Monitor) -> None:
    if monitor.recogniser.is_demonstration and monitor.config.intake.source != "samples":
        say(f"qa-monitor: the recording was {_DEMONSTRATION}")


def _print_turns(dialogue: Any) -> None:
    for turn in dialogue.turns:
        print_text(f"{_clock(turn.start_s)}  {turn.role:<8} {turn.text}")


def _clock(seconds: float | None) -> str:
    return "  --  " if seconds is None else f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def _stretch(start_s: float, end_s: float) -> str:
    return f"{_clock(start_s)}-{_clock(math.ceil(end_s))}".replace(" ", "")


def _told(verification: Verification) -> str:
    """A verification on a line, as "leak: listen to 1:02-1:05 (PERSON), 1:10-1:11 (DATE?)"."""
    places = [
        f"{_stretch(place.start_s, place.end_s)} "
        f"({place.entity_type}{'' if place.is_sure else '?'})"
        for place in verification.places
    ]
    return verification.verdict + (f": listen to {', '.join(places)}" if places else "")


def _print_verified(found: tuple[Verified, ...]) -> None:
    for one in found:
        if one.verification is not None:
            print_text(f"{one.call_id or f'recording {one.position}'}  {_told(one.verification)}")


def _verified_json(one: Verified) -> dict[str, Any]:
    line: dict[str, Any] = {"position": one.position, "call_id": one.call_id}
    if one.verification is not None:
        line |= _verification_json(one.verification)
    if one.error is not None:
        line["error"] = _error_json(one.error)
    return line


def _verification_json(verification: Verification) -> dict[str, Any]:
    return {"verdict": verification.verdict, **_jsonable(verification)}


def _tell_outcomes(outcomes: tuple[Outcome, ...]) -> None:
    for outcome in outcomes:
        place = f"recording {outcome.position}: " if outcome.position else ""
        if outcome.error is not None:
            say(f"qa-monitor: {place}{outcome.error.message}")
        elif outcome.status == "duplicate":
            say(f"qa-monitor: {place}the same recording as call {outcome.duplicate_of}; skipped.")
        elif outcome.status == "busy":
            say(f"qa-monitor: {place}another run is scoring it; left to that run.")
    demonstration = [
        outcome
        for outcome in outcomes
        if outcome.record is not None
        and "demonstration_model" in outcome.record.warnings
        and outcome.record.recording.source != "samples"
    ]
    if demonstration:
        say(f"qa-monitor: recordings of this run ({len(demonstration)}) were {_DEMONSTRATION}")
    counts = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("scored", "present", "duplicate", "busy", "deleted", "failed")
    }
    words = {
        "present": "scored before",
        "duplicate": "duplicates",
        "deleted": "deleted before and left out (--again scores them)",
    }
    say(", ".join(f"{count} {words.get(name, name)}" for name, count in counts.items() if count))
    verdicts = Counter(
        outcome.record.dialogue.verification.verdict
        for outcome in outcomes
        if outcome.record is not None and outcome.record.dialogue.verification is not None
    )
    if verdicts:
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        say(f"redacted recordings listened to again: {told}")


def _points(value: float | None, digits: int = 1) -> str:
    return _DASH if value is None else f"{value:.{digits}f}"


def _print_score_tables(outcomes: tuple[Outcome, ...], monitor: Monitor) -> None:
    from rich.table import Table

    table = Table(title="Calls", title_justify="left")
    for column in ("call", "agent", "type", "urgency", "escalation", "empathy", "listening"):
        table.add_column(column, no_wrap=True)
    table.add_column("review")
    for outcome in outcomes:
        if outcome.status == "scored" and outcome.record is not None:
            record = outcome.record
        elif outcome.status == "present":
            record = monitor.record(outcome.call_id)
        else:
            continue
        table.add_row(*_row(record))
    if table.row_count:
        console().print(table)
    found = _alerts_of(outcomes, monitor)
    if found:
        console().print(alert_table(found))


def _row(record: CallRecord) -> list[str]:
    from qa_monitor.calls import Criterion

    card = record.scorecard
    return [
        record.call_id,
        record.recording.agent_id or _DASH,
        card.call_type or "unsure",
        _points(card.score(Criterion.URGENCY).points, 0),
        card.escalated or "unsure",
        _points(card.score(Criterion.EMPATHY).points),
        _points(card.score(Criterion.ACTIVE_LISTENING).points),
        ", ".join(reason.replace("_", " ") for reason in card.review_reasons),
    ]


def _alerts_of(outcomes: tuple[Outcome, ...], monitor: Monitor) -> list[Any]:
    calls = {outcome.call_id for outcome in outcomes}
    return [alert for alert in monitor.alerts() if alert.alert.call_id in calls]


def _print_record(record: CallRecord) -> None:
    from rich.table import Table
    from rich.text import Text

    from qa_monitor.calls import ChecklistAnswer

    out, card = console(), record.scorecard
    recording = record.recording
    started = recording.started_at.isoformat(" ", "minutes") if recording.started_at else _DASH
    out.print(
        f"{record.call_id}  agent {recording.agent_id or _DASH}  {started}  "
        f"{_clock(recording.duration_s).strip()}  {card.call_type or 'type unsure'}"
        + (f" (also {', '.join(card.also)})" if card.also else ""),
        markup=False,
    )
    if recording.disposition_code is not None:
        out.print(f"disposition: {recording.disposition_code}", markup=False)
    if card.needs_review:
        reasons = ", ".join(reason.replace("_", " ") for reason in card.review_reasons)
        out.print(f"for review: {reasons}", markup=False)
    if record.dialogue.verification is not None:
        told = _told(record.dialogue.verification)
        out.print(f"redacted recording, listened to again: {told}", markup=False)
    for warning in record.warnings:
        out.print(f"note: {warning.replace('_', ' ')}", markup=False)
    table = Table("criterion", "points", "confidence", "reason and evidence")
    for score in card.scores:
        lines = [score.reason, *_quotes(record.dialogue, score.evidence)]
        if score.effects:
            lines.append(_effects(score.effects))
        table.add_row(
            score.criterion.replace("_", " "),
            _points_of(score),
            f"{score.confidence:.2f}" if score.points is not None else _DASH,
            Text("\n".join(lines)),
        )
    out.print(table)
    asked = [item for item in card.checklist if item.answer is not ChecklistAnswer.NOT_APPLICABLE]
    if asked:
        table = Table("checklist", "answer", "reason and evidence")
        for item in asked:
            table.add_row(
                item.item.replace("_", " "),
                item.answer + (" (fails the call)" if item.item in card.auto_failed else ""),
                Text("\n".join([item.reason, *_quotes(record.dialogue, item.evidence)])),
            )
        out.print(table)
    total = _DASH if card.total is None else f"{card.total:.1f} of 100"
    out.print(f"total: {total}, by rubric {card.rubric_version}", markup=False)
    if card.auto_failed:
        failed = ", ".join(name.replace("_", " ") for name in card.auto_failed)
        out.print(f"failed by: {failed}", markup=False)
    for turn in record.dialogue.turns:
        doubtful = " (doubtful)" if turn.is_doubtful else ""
        out.print(
            f"{_clock(turn.start_s)}  {turn.role:<8} {turn.text}{doubtful}",
            markup=False,
            soft_wrap=True,
        )


def _points_of(score: Score) -> str:
    """The points of a score with their interval, or why there are none."""
    from qa_monitor.calls import ScoreStatus

    if score.points is None:
        return "unsure" if score.status is ScoreStatus.ABSTAINED else "not assessed"
    points = f"{_points(score.points)} of {score.max_points:.0f}"
    if score.low is None or score.high is None:
        return points
    return f"{points}\n({_points(score.low)} to {_points(score.high)})"


def _quotes(dialogue: RedactedDialogue, places: Iterable[Evidence]) -> list[str]:
    """The words at ``places``, each with its time, or its turn where there are no times."""
    quotes = []
    for evidence in places:
        turn = dialogue.turns[evidence.turn_index]
        when = f"turn {turn.index + 1}" if turn.start_s is None else _clock(turn.start_s).strip()
        quotes.append(f"{when} {turn.role}: “{dialogue.quote(evidence)}”")
    return quotes


def _effects(effects: Iterable[Effect]) -> str:
    """What moved a score by a tenth of a point or more."""
    told = [
        f"{effect.feature.replace('_', ' ')} {effect.points:+.1f}"
        for effect in effects
        if abs(effect.points) >= _TELLING_POINTS
    ]
    return f"moved by: {', '.join(told)}" if told else "moved by nothing in particular"


def _print_measures(measures: Sequence[Measure]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("measure", "value", "what it is", title="Measures", title_justify="left")
    for measure in measures:
        name = measure.metric.name.removesuffix("_s").replace("_", " ")
        basis = "" if measure.basis == "heard" else f" ({measure.basis.replace('_', ' ')})"
        says = f"{measure.metric.says} [{measure.metric.source}]"
        table.add_row(name, _measured(measure) + basis, Text(says))
    console().print(table)


def _measured(measure: Measure) -> str:
    """The value of a measure with its unit."""
    value = measure.value
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    match measure.metric.unit:
        case "s" if value >= _CLOCKED_S:
            return _long_clock(value)
        case "s":
            return f"{value:.1f} s"
        case "share":
            return f"{value:.0%}"
        case _:
            return f"{value:.0f}"


_CLOCKED_S = 60.0


def _long_clock(seconds: float) -> str:
    """Days, hours, minutes and seconds, as "2 d 3:05:00" or "1:35"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02d}:{rest:02d}" if days or hours else f"{minutes}:{rest:02d}"
    return f"{days} d {clock}" if days else clock


def _measure_json(measure: Measure) -> dict[str, Any]:
    return {**_jsonable(measure.metric), "value": measure.value, "basis": measure.basis}


def _print_cards(cards: Sequence[CardSummary], shown: str) -> None:
    from rich.table import Table

    table = Table("rubric", "made", "total", "", title="Score cards", title_justify="left")
    for card in cards:
        notes = ["in use"] * card.is_in_use + ["shown"] * (card.rubric_version == shown)
        made_at = card.made_at.isoformat(" ", "minutes")
        table.add_row(card.rubric_version, made_at, _points(card.total), ", ".join(notes))
    console().print(table)


def _moved(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _print_rescored(results: Sequence[Rescored]) -> None:
    """A line for each call: each value, or from which to which it went."""
    from rich.table import Table

    table = Table(title="Scored anew", title_justify="left")
    for column in ("call", "empathy", "listening", "urgency", "escalation", "outcome", "total"):
        table.add_column(column, no_wrap=True)
    table.add_column("review")
    table.add_column("change", no_wrap=True)
    for result in results:
        if result.before is None or result.after is None:
            continue
        cells = zip(_card_cells(result.before), _card_cells(result.after), strict=True)
        change = "changed" if result.is_changed else "unchanged"
        table.add_row(result.call_id, *(_moved(*pair) for pair in cells), change)
    if table.row_count:
        console().print(table)


def _card_cells(card: Scorecard) -> list[str]:
    from qa_monitor.calls import Criterion
    from qa_monitor.rescoring import points_of

    failed = f" (failed: {', '.join(card.auto_failed)})" if card.auto_failed else ""
    return [
        _points(points_of(card, Criterion.EMPATHY)),
        _points(points_of(card, Criterion.ACTIVE_LISTENING)),
        _points(points_of(card, Criterion.URGENCY), 0),
        _points(points_of(card, Criterion.ESCALATION)),
        card.escalated or "unsure",
        _points(card.total) + failed,
        ", ".join(reason.replace("_", " ") for reason in card.review_reasons) or _DASH,
    ]


def _print_summary(summary: RescoringSummary) -> None:
    from rich.table import Table

    table = Table("criterion", "calls", "mean", "changed", title="In all", title_justify="left")
    for change in summary.criteria:
        table.add_row(
            change.criterion.replace("_", " "),
            _moved(str(change.calls_before), str(change.calls_after)),
            _moved(_points(change.mean_before, 2), _points(change.mean_after, 2)),
            str(change.changed),
        )
    total = _moved(_points(summary.total_before), _points(summary.total_after))
    table.add_row("total", "", total, "")
    failed = _moved(str(summary.auto_failed_before), str(summary.auto_failed_after))
    table.add_row("calls failed by a rule", failed, "", "")
    console().print(table)


def _tell_rescored(results: Sequence[Rescored], *, is_tried: bool = False) -> None:
    """What became of alerts, what failed, and how many changed, on stderr."""
    for result in results:
        if result.error is not None:
            say(f"qa-monitor: {result.error.message}")
        for alert in result.alerts:
            raised = "would be raised" if is_tried else "raised"
            reason = alert.reason.replace("_", " ")
            say(f"call {result.call_id}: {alert.severity} alert {raised}: {reason}")
        for reason in result.outdated_alerts:
            say(
                f"call {result.call_id}: an alert stays open that the new card gives no cause for: "
                f"{reason.replace('_', ' ')}"
            )
    failed = sum(result.error is not None for result in results)
    changed = sum(result.is_changed for result in results)
    counts = {
        "changed": changed,
        "unchanged": len(results) - failed - changed,
        "failed": failed,
    }
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    say(told + ("; nothing was stored" if is_tried else ""))


def _rescored_json(result: Rescored) -> dict[str, Any]:
    line: dict[str, Any] = {"call_id": result.call_id}
    if result.error is not None:
        return {**line, "status": "failed", "error": _error_json(result.error)}
    return {
        **line,
        "status": "changed" if result.is_changed else "unchanged",
        "before": result.before and _card_json(result.before),
        "after": result.after and _card_json(result.after),
        "alerts": _jsonable(result.alerts),
        "outdated_alerts": list(result.outdated_alerts),
    }


def _card_json(card: Scorecard) -> dict[str, Any]:
    return {
        "rubric_version": card.rubric_version,
        "scores": {score.criterion.value: score.points for score in card.scores},
        "total": card.total,
        "auto_failed": list(card.auto_failed),
        "checklist": {item.item: item.answer.value for item in card.checklist},
        "call_type": card.call_type,
        "escalated": card.escalated,
        "review_reasons": list(card.review_reasons),
    }


def _print_rubrics(found: Sequence[ListedRubric]) -> None:
    from rich.table import Table

    table = Table("rubric", "for", "calls", "in use", "mean total", "failed by a rule")
    for listed in found:
        targets = ["all others"] * listed.is_default + list(listed.queues)
        use = listed.stored
        table.add_row(
            listed.rubric_version,
            ", ".join(targets) or _DASH,
            str(use.calls if use else 0),
            str(use.in_use if use else 0),
            _points(use.mean_total if use else None),
            str(use.auto_failed if use else 0),
        )
    console().print(table)


def _print_comparison(found: RubricComparison) -> None:
    from rich.table import Table

    calls = f"{found.calls} call{'' if found.calls == 1 else 's'}"
    table = Table(title=f"Over {calls} with a card of both", title_justify="left")
    for column in ("criterion", "calls", found.first, found.second, "difference", "changed"):
        table.add_column(column)
    rows: list[tuple[str, int, float | None, float | None, int | None]] = [
        (one.criterion.replace("_", " "), one.calls, one.first_mean, one.second_mean, one.changed)
        for one in found.criteria
    ]
    rows.append(("total", found.total_calls, found.first_total, found.second_total, None))
    for name, count, first, second, changed in rows:
        difference = None if first is None or second is None else second - first
        table.add_row(
            name,
            str(count),
            _points(first, 2),
            _points(second, 2),
            _DASH if difference is None else f"{difference:+.2f}",
            _DASH if changed is None else str(changed),
        )
    console().print(table)
    console().print(
        f"failed by a rule of {found.second} only: {found.newly_failed}; of {found.first} only: "
        f"{found.newly_passed}; other outcome of the escalation: {found.other_outcome}",
        markup=False,
        soft_wrap=True,
    )


def _jsonable(value: Any) -> Any:
    """``value`` as JSON has it: frozen values become objects, times ISO 8601."""
    from dataclasses import fields, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value


def _record_json(record: CallRecord) -> dict[str, Any]:
    whole: dict[str, Any] = _jsonable(record)
    whole["scorecard"] = _with_quotes(record.scorecard, record.dialogue)
    whole["call_id"] = record.call_id
    return whole


def _with_quotes(value: Any, dialogue: RedactedDialogue) -> Any:
    """``value`` as JSON has it, each evidence in it with its words and their time."""
    from dataclasses import fields, is_dataclass

    from qa_monitor.calls import Evidence

    if isinstance(value, Evidence):
        start_s = dialogue.turns[value.turn_index].start_s
        return {**_jsonable(value), "quote": dialogue.quote(value), "start_s": start_s}
    if isinstance(value, tuple):
        return [_with_quotes(item, dialogue) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _with_quotes(getattr(value, field.name), dialogue)
            for field in fields(value)
        }
    return _jsonable(value)


def _error_json(error: QAMonitorError) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "message": error.message,
        "exit_code": error.exit_code,
    }


def _outcome_json(outcome: Outcome, monitor: Monitor) -> dict[str, Any]:
    line: dict[str, Any] = {
        "position": outcome.position,
        "call_id": outcome.call_id,
        "status": outcome.status,
    }
    if outcome.duplicate_of:
        line["duplicate_of"] = outcome.duplicate_of
    if outcome.error is not None:
        line["error"] = _error_json(outcome.error)
    record = outcome.record
    if outcome.status == "present":
        record = monitor.record(outcome.call_id)
    if record is not None:
        card = record.scorecard
        line |= {
            "agent_id": record.recording.agent_id,
            "started_at": _jsonable(record.recording.started_at),
            "duration_s": record.recording.duration_s,
            "call_type": card.call_type,
            "also": list(card.also),
            "scores": {score.criterion.value: score.points for score in card.scores},
            "total": card.total,
            "auto_failed": list(card.auto_failed),
            "urgency_probability": card.urgency_probability,
            "escalated": card.escalated,
            "escalation_delay_s": card.escalation_delay_s,
            "needs_review": card.needs_review,
            "review_reasons": list(card.review_reasons),
            "warnings": list(record.warnings),
        }
        if record.dialogue.verification is not None:
            line["verification"] = _verification_json(record.dialogue.verification)
    return line


# --- progress ------------------------------------------------------------------------------------


class _Bars:
    """Progress on a terminal: a bar for what is at work, a line for each call done."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> Observer:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        _heed_stop()
        self._progress.update(
            self._task, description=f"{call_id}  {stage}", completed=fraction, total=1.0
        )

    def finished(self, outcome: Outcome) -> None:
        if outcome.status != "present":
            self._progress.console.print(
                f"{outcome.call_id}: {outcome.status}", markup=False, highlight=False
            )


class _Lines:
    """Progress where there is no terminal: a line for each call done."""

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        del call_id, stage, fraction
        _heed_stop()

    def finished(self, outcome: Outcome) -> None:
        if outcome.status not in {"present", "failed"}:
            say(f"{outcome.call_id}: {outcome.status}")


def _progress() -> Any:
    out = console(stderr=True)
    return _Bars(out) if out.is_terminal else _Lines()


_STOP_ASKED = threading.Event()


def _stop(signum: int, frame: object) -> None:
    del signum, frame
    _STOP_ASKED.set()
    raise KeyboardInterrupt


def _heed_stop() -> None:
    """Stop where an engine, while it was loading, swallowed the interrupt."""
    if _STOP_ASKED.is_set():
        raise KeyboardInterrupt


# --- commands with modules of their own ---------------------------------------------------------

app.command(epilog="Example: qa-monitor watch recordings/ --metadata calls.csv")(watch)
app.command(epilog="Example: qa-monitor alerts --open")(alerts)
app.command(epilog="Example: qa-monitor serve --port 8710")(serve)
app.command(epilog="Example: qa-monitor delete calls-10423 --reason 'asked for by the caller'")(
    delete
)
app.command(epilog="Example: qa-monitor retention --dry-run")(retention)
app.command("labelled-calls", epilog="Example: qa-monitor labelled-calls reviewed.jsonl")(
    labelled_calls
)
app.command("demo-data", epilog="Example: qa-monitor demo-data --users")(demo_data)


def main() -> None:
    """Run the command line; exits with a documented code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's encoding lacks is shown as a question mark, and is no fault.
            stream.reconfigure(errors="replace")
    app(prog_name="qa-monitor")
