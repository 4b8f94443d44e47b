"""The whole product behind one object, for the command line and for Python users alike.

``Monitor`` joins intake, pipeline, store, alerts and reports under one configuration. It opens the
database and loads models only when they are needed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from qa_monitor.calls import Severity
from qa_monitor.config import Config, find_config, load_config
from qa_monitor.errors import (
    ConfigError,
    NotFoundError,
    QAMonitorError,
    StoreError,
    UsageError,
)
from qa_monitor.intake import Intake, Refusal, load_caller_secret, take_in
from qa_monitor.store import Scope, open_store

if TYPE_CHECKING:
    from qa_monitor.alerts import Channel, Courier, DeliveryReport, MailServer, Policy, Quiet
    from qa_monitor.calls import (
        CallRecord,
        Contacts,
        DecodedAudio,
        Dialogue,
        EntityType,
        Measure,
        RedactedDialogue,
        Transcript,
        Verification,
    )
    from qa_monitor.pipeline import Observer, Outcome, Rubrics, Stages
    from qa_monitor.redaction import Redactor
    from qa_monitor.redaction.documents import RedactedDocument
    from qa_monitor.redaction.operators import Operators
    from qa_monitor.redaction.settings import RecognizerSettings
    from qa_monitor.reports import AgentReport, CallFigures
    from qa_monitor.reports.team import TeamReport
    from qa_monitor.rescoring import Rescored
    from qa_monitor.retention import Keeper
    from qa_monitor.reviewing import QueuePolicy
    from qa_monitor.scoring import Scorer
    from qa_monitor.store import (
        CardSummary,
        Correction,
        Goal,
        GoalKind,
        Route,
        RubricComparison,
        RubricUse,
        Store,
        StoredAlert,
    )
    from qa_monitor.transcription import Recogniser
    from qa_monitor.watching import WatchObserver, WatchSummary
    from qa_monitor.waveforms import Waveform

__all__ = ["ListedRubric", "Monitor", "SilentObserver", "Verified"]

_NOTES = 5
"""How many of the newest notes a report repeats."""

_BASELINE = timedelta(days=28)
"""The calls that a goal's baseline is measured by."""


_PATIENCE_S = 20.0


class SilentObserver:
    """An observer that takes no notice."""

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        """Nothing."""


class _AlertsFirst:
    """An observer that hands over the alerts of a call as soon as it is done with.

    An urgent call cannot wait for the end of a batch that takes hours.
    """

    def __init__(self, monitor: Monitor, observer: Observer) -> None:
        self._monitor, self._observer = monitor, observer

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        """Pass it on."""
        self._observer.advanced(call_id, stage, fraction)

    def finished(self, outcome: Outcome) -> None:
        """Deliver, then pass it on."""
        if outcome.alerts:
            self._monitor.deliver_alerts(wait_s=1.0)
        self._observer.finished(outcome)


class _Telling:
    """An observer that tells ``finished`` of each outcome, then wakes who hands over its alerts."""

    def __init__(self, finished: Callable[[Outcome], None], wake: Callable[[], None]) -> None:
        self._finished, self._wake = finished, wake

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        """Pass it on; alerts go out even where that ends the run."""
        try:
            self._finished(outcome)
        finally:
            if outcome.alerts:
                self._wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What listening again to one redacted recording told, or the error that took its place.

    ``call_id`` is ``None`` for a recording that is no kept copy of a call; ``position`` counts what
    was asked for from 1.
    """

    position: int
    call_id: str | None
    verification: Verification | None = None
    error: QAMonitorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRubric:
    """A rubric version: what it is configured for, and what is stored of it.

    ``is_default`` tells that calls of no department are scored by it, ``queues`` which departments
    are; ``stored`` is ``None`` where no call has a card of it yet.
    """

    rubric_version: str
    is_default: bool
    queues: tuple[str, ...]
    stored: RubricUse | None


class Monitor:
    """The product under one configuration; a context manager that closes its database.

    ``config`` is a configuration, the path of one, or ``None`` for the one that applies in the
    working folder (see ``config.find_config``).
    """

    def __init__(self, config: Config | Path | str | None = None) -> None:
        if not isinstance(config, Config):
            config = load_config(Path(config) if config is not None else find_config())
        self.config = config

    def __enter__(self) -> Self:
        """The monitor itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the database."""
        self.close()

    def close(self) -> None:
        """Close the database, if it was opened."""
        if "store" in self.__dict__:
            self.store.close()
            del self.__dict__["store"]

    @cached_property
    def store(self) -> Store:
        """The database, opened (and made) on first use."""
        self._make_folder()
        return open_store(self.config.data.database_url)

    def _make_folder(self) -> Path:
        folder = self.config.data.folder
        problem = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(PermissionError):
                # What lies here is PHI even when redacted: nobody else's to read.
                folder.chmod(0o700)
        except OSError as error:
            problem = error.strerror
        if problem:
            raise StoreError(
                f"the data folder {folder} cannot be made ({problem}). "
                "Set data.folder to one that this account may write."
            )
        return folder

    @cached_property
    def stages(self) -> Stages:
        """The engines, loaded on first use (a few seconds)."""
        from qa_monitor.pipeline import build_stages

        return build_stages(
            self.config,
            recogniser=self.recogniser,
            redactor=self.redactor,
            scorer=self.scorer,
        )

    @cached_property
    def recogniser(self) -> Recogniser:
        """The recogniser, loaded on first use."""
        from qa_monitor.pipeline import build_recogniser

        return build_recogniser(self.config)

    @cached_property
    def redactor(self) -> Redactor:
        """The redactor, loaded on first use."""
        from qa_monitor.pipeline import build_redactor

        return build_redactor(self.config)

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer, loaded on first use."""
        from qa_monitor.pipeline import build_scorer

        return build_scorer(self.config)

    @cached_property
    def _rubrics(self) -> Rubrics:
        from qa_monitor.pipeline import build_rubrics

        return build_rubrics(self.config)

    @cached_property
    def _policy(self) -> Policy:
        from qa_monitor.pipeline import build_policy

        return build_policy(self.config)

    # --- recordings in ---------------------------------------------------------------------------

    def score(
        self,
        paths: Sequence[str | Path],
        *,
        metadata: Path | None = None,
        again: bool = False,
        observer: Observer | None = None,
    ) -> tuple[Outcome, ...]:
        """What became of each recording that ``paths`` (files, folders, globs) name.

        Records, alerts and redacted recordings are kept; what was scored before is skipped unless
        ``again``. Alerts that wait are delivered first, those of a call when it is done with; what
        a channel refuses stays queued (see ``deliver_alerts``). Raises ``UsageError`` or
        ``MetadataError`` when nothing can be started; a call's own failure is in its outcome.
        """
        from qa_monitor.pipeline import intake_rules, score_batch

        watching = observer or SilentObserver()
        intakes, refusals = take_in(
            [str(path) for path in paths],
            metadata=metadata,
            rules=intake_rules(self.config),
            progress=lambda fraction: watching.advanced("recordings", "reading", fraction),
        )
        self.deliver_alerts()
        return score_batch(
            intakes,
            refusals,
            stages=lambda: self.stages,
            store=self.store,
            observer=_AlertsFirst(self, watching),
            again=again,
            channels=self.routes,
            was_deleted=self.keeper.was_deleted,
        )

    def watch(
        self,
        folder: Path,
        *,
        metadata: Path | None = None,
        every_s: float | None = None,
        once: bool = False,
        observer: WatchObserver | None = None,
        stop: threading.Event | None = None,
    ) -> WatchSummary:
        """Score recordings of ``folder`` as they are finished, until ``stop`` is set.

        Alerts are handed over in the background meanwhile, reminders too. ``once`` ends when all
        that is there was tried. What ``score`` says holds here too; see ``watching.watch`` for what
        becomes of failures. Raises ``UsageError`` where there is no such folder, ``ModelError`` and
        ``ConfigError``.
        """
        from qa_monitor.pipeline import intake_rules, score_batch
        from qa_monitor.watching import SilentWatcher, WatchedFolder, check_folder, watch

        check_folder(folder)
        settings, rules = self.config.watch, intake_rules(self.config)
        watching = observer or SilentWatcher()
        courier = self.courier(report=watching.trouble)
        files = WatchedFolder(
            folder,
            rules=rules,
            known=self.store.arrivals.known_files(),
            since=self.store.arrivals.watching_since(),
            metadata=metadata,
            stable_s=settings.stable_s,
            sidecar_wait_s=settings.sidecar_wait_s,
        )

        def score(
            intakes: Sequence[Intake],
            refusals: Sequence[Refusal],
            finished: Callable[[Outcome], None],
        ) -> Sequence[Outcome]:
            return score_batch(
                intakes,
                refusals,
                stages=lambda: self.stages,
                store=self.store,
                observer=_Telling(finished, courier.wake),
                channels=self.routes,
                was_deleted=self.keeper.was_deleted,
            )

        if not once:
            # The first recording that comes need not wait for the models.
            _ = self.stages
        # Settings that are wrong are told of before anything is taken up.
        _ = self.channels
        courier.start()
        try:
            return watch(
                files,
                score,
                self.store,
                rules,
                observer=watching,
                stop=stop or threading.Event(),
                every_s=settings.every_s if every_s is None else every_s,
                once=once,
                patience_s=settings.stable_s + settings.sidecar_wait_s + _PATIENCE_S,
            )
        finally:
            courier.stop()

    def verify(
        self, targets: Sequence[str | Path] | None = None, *, observer: Observer | None = None
    ) -> tuple[Verified, ...]:
        """Whether PHI can still be heard in redacted recordings: those of ``targets``, or all kept.

        A target is a redacted recording (a file) or the id of a scored call, whose kept copy it
        means. What is found in a kept copy is noted in the call's record, which is for review then.
        What cannot be listened to is in its outcome and the rest goes on. Raises ``NotFoundError``
        when all are asked for and no copy is kept.
        """
        if targets is None:
            targets = [
                record.call_id
                for record in self.store.records()
                if self.kept_copy(record.call_id).is_file()
            ]
            if not targets:
                raise NotFoundError(
                    "no redacted recording is kept. Score recordings with audio.keep_redacted."
                )
        return tuple(
            self._verify(position, target, observer or SilentObserver())
            for position, target in enumerate(targets, start=1)
        )

    def _verify(self, position: int, target: str | Path, observer: Observer) -> Verified:
        from qa_monitor.audio import decode
        from qa_monitor.pipeline import decode_limits, verify_audio
        from qa_monitor.verification import mark

        path, call_id = Path(target), None
        record = None
        try:
            if not path.is_file():
                record = self.record(str(target))
                path, call_id = self.kept_copy(record.call_id), record.call_id
            # A recording is named by its place: file names carry people's names.
            name = call_id or f"recording-{position}"
            found = verify_audio(
                name,
                decode(path, call_id=name, limits=decode_limits(self.config)),
                self.recogniser,
                self.redactor,
                redacted=None if record is None else record.dialogue,
                progress=lambda fraction: observer.advanced(name, "verification", fraction),
            )
            if record is not None:
                marked = mark(record, found)
                if not self.store.note_verification(marked):
                    raise StoreError(
                        f"call {call_id} was scored again while its old copy was listened to. "
                        "Verify it once more.",
                        call_id=call_id,
                    )
                found = marked.dialogue.verification or found
        except QAMonitorError as error:
            return Verified(position=position, call_id=call_id, error=error)
        return Verified(position=position, call_id=call_id, verification=found)

    def kept_copy(self, call_id: str) -> Path:
        """Where the redacted recording of a scored call is, if it is kept."""
        return self.config.data.folder / "audio" / f"{call_id}.flac"

    def kept_original(self, call_id: str) -> Path:
        """Where its recording is as it was, if that is kept."""
        return self.config.data.folder / "originals" / f"{call_id}.flac"

    def waveform(self, call_id: str) -> Waveform:
        """How loud the redacted recording of a call is over its length; kept once worked out.

        Raises ``NotFoundError`` where no recording is kept, ``NotAudioError`` and ``StoreError``.
        """
        from qa_monitor.waveforms import waveform_of

        recording = self.kept_copy(call_id)
        if not recording.is_file():
            raise NotFoundError(f"call {call_id}: no recording is kept.", call_id=call_id)
        kept = self.config.data.folder / "waveforms" / f"{call_id}.json"
        return waveform_of(recording, kept, call_id=call_id)

    # --- stored calls scored anew ----------------------------------------------------------------

    def rescore(
        self,
        calls: Sequence[str] | None = None,
        *,
        rubric_file: Path | None = None,
        beside: bool = False,
        dry_run: bool = False,
        agent_id: str | None = None,
        queue: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        observer: Observer | None = None,
    ) -> tuple[Rescored, ...]:
        """What a rubric changes in the scores of stored calls; no recording or model is needed.

        The calls are those named, or all, or those of ``agent_id``, ``queue`` and ``[since,
        until)``. Each is scored by its department's rubric as configured, or by that in
        ``rubric_file``, from the findings of its latest run. The new card is kept beside the old
        ones and is the one in use from then on, with the alerts it asks for; ``beside`` leaves the
        one in use as it is and raises no alert. ``dry_run`` stores nothing. A call that cannot be
        scored is in its result and the rest goes on. Raises ``UsageError``, ``ConfigError`` for a
        wrong rubric and ``NotFoundError`` when no call is chosen.
        """
        from qa_monitor.rescoring import rescore
        from qa_monitor.scoring.rubric import load_rubric

        if beside and rubric_file is None:
            raise UsageError("name the rubric whose card is to stand beside the one in use.")
        if calls and (agent_id or queue or since or until):
            raise UsageError("name calls, or choose them by agent, queue and time; not both.")
        own = load_rubric(rubric_file) if rubric_file is not None else None
        rubrics, policy = self._rubrics, self._policy
        chosen = (
            list(dict.fromkeys(calls))
            if calls
            else list(
                self.store.latest_runs(agent_id=agent_id, queue=queue, since=since, until=until)
            )
        )
        if not chosen:
            raise NotFoundError("no scored call is chosen. Score recordings: qa-monitor score PATH")
        watching = observer or SilentObserver()
        results = []
        for position, call_id in enumerate(chosen):
            watching.advanced(call_id, "rescoring", position / len(chosen))
            result = rescore(
                self.store,
                call_id,
                lambda of: own or rubrics.of(of),
                policy,
                now=datetime.now(UTC),
                within=self._repeat_window,
                in_use=not beside,
                keep=not dry_run,
                channels=self.routes,
            )
            if result.alerts and not dry_run:
                self.deliver_alerts()
            results.append(result)
        return tuple(results)

    def swap_roles(self, call_id: str) -> Rescored:
        """What changes when agent and caller of a stored call change places; kept as a new run.

        The model reads the stored redacted text anew; the recording is not needed. Swapping back
        gives what was there first. Raises ``NotFoundError``, ``UsageError`` where no roles are
        known, and ``ScoringError``.
        """
        from qa_monitor.rescoring import swap_roles

        # An unknown call is told of before a model is loaded for it.
        self.store.latest_run(call_id)
        result = swap_roles(
            self.store,
            call_id,
            self.scorer,
            self._rubrics.of,
            self._policy,
            now=datetime.now(UTC),
            within=self._repeat_window,
            channels=self.routes,
        )
        if result.alerts:
            self.deliver_alerts()
        return result

    def rubrics(self) -> tuple[ListedRubric, ...]:
        """The rubric versions that are configured, then those that are only stored."""
        stored = {use.rubric_version: use for use in self.store.rubrics()}
        default = self._rubrics.default.full_version
        queues: dict[str, list[str]] = {default: []}
        for queue, rubric in sorted(self._rubrics.by_queue.items()):
            queues.setdefault(rubric.full_version, []).append(queue)
        return tuple(
            ListedRubric(
                rubric_version=version,
                is_default=version == default,
                queues=tuple(queues.get(version, ())),
                stored=stored.get(version),
            )
            for version in dict.fromkeys((*queues, *stored))
        )

    def rubric_of(self, queue: str | None) -> str:
        """The version of the rubric by which calls of ``queue`` are scored now."""
        return self._rubrics.of(queue).full_version

    def compare_rubrics(self, first: str, second: str) -> RubricComparison:
        """Two rubrics over the calls that have cards of both; ``NotFoundError`` for an unknown."""
        return self.store.compare_rubrics(first, second)

    # --- measures --------------------------------------------------------------------------------

    def measures(self, record: CallRecord) -> tuple[Measure, ...]:
        """The measures of a call, each with its unit, its meaning and what it rests on.

        Earlier calls and first-contact resolution are worked out from what is stored now.
        """
        from qa_monitor.scoring.metrics import call_measures

        contacts = self.store.contacts_of(
            record.recording, within=self._repeat_window, now=datetime.now(UTC)
        )
        return call_measures(
            record.metrics,
            record.recording,
            contacts=contacts,
            call_type=record.scorecard.call_type,
        )

    def contacts(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Mapping[str, Contacts]:
        """Repeat callers and first-contact resolution of calls, by call id, as of now.

        All calls, or those of ``agent_id`` and ``[since, until)``. The rate of first-contact
        resolution is over the calls whose ``is_resolved`` is known.
        """
        return self.store.contacts(
            within=self._repeat_window,
            now=datetime.now(UTC),
            agent_id=agent_id,
            since=since,
            until=until,
        )

    @property
    def _repeat_window(self) -> timedelta:
        return timedelta(days=self.config.scoring.repeat_days)

    # --- what people review ----------------------------------------------------------------------

    @cached_property
    def queue_policy(self) -> QueuePolicy:
        """Which calls are to be reviewed, as configured."""
        from qa_monitor.reviewing import QueuePolicy

        settings = self.config.review
        return QueuePolicy(
            key=load_caller_secret(self._make_folder()),
            random_share=settings.random_share,
            double_share=settings.double_share,
            days_back=settings.days_back,
            per_agent_floor=settings.per_agent_floor,
        )

    def refresh_queue(self, *, most: int | None = None) -> int:
        """Bring the review queue up to date; how many calls had changed, of about ``most``."""
        from qa_monitor.reviewing import refresh_queue

        return refresh_queue(self.store, self.queue_policy, now=datetime.now(UTC), most=most)

    # --- feedback out ----------------------------------------------------------------------------

    def record(self, call_id: str, *, rubric: str | None = None) -> CallRecord:
        """The latest record of a call, with its card in use or that of ``rubric``.

        ``rubric`` is a name and version, as ``rubrics`` lists them. ``NotFoundError`` if there is
        none.
        """
        return self.store.record(call_id, rubric=rubric)

    def cards(self, call_id: str) -> tuple[CardSummary, ...]:
        """The score cards of a call's latest run, oldest first; one of them is in use."""
        return self.store.cards(call_id)

    def alerts(self, *, open_only: bool = False) -> tuple[StoredAlert, ...]:
        """Alerts raised, the most urgent first."""
        return self.store.alerts(open_only=open_only)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Where alerts go, as configured; ``ConfigError`` when a secret is missing or wrong."""
        from qa_monitor.alerts import (
            ChatChannel,
            ConsoleChannel,
            EmailChannel,
            JsonLinesChannel,
            WebhookChannel,
        )

        settings = self.config.alerts
        base = settings.link_base
        channels: list[Channel] = []
        if settings.console:
            channels.append(ConsoleChannel(link_base=base))
        if settings.jsonl_file:
            channels.append(JsonLinesChannel(settings.jsonl_file, link_base=base))
        if settings.webhook_url:
            secret = self._webhook_secret
            channels.append(WebhookChannel(settings.webhook_url, link_base=base, secret=secret))
        named = {route.channel.partition(":")[::2] for route in self.routes}
        addresses = sorted(target for kind, target in named if kind == "email")
        if addresses:
            server = self._mail_server
            channels += [EmailChannel(server, address, link_base=base) for address in addresses]
        channels += [
            ChatChannel(name, self._chats[name], link_base=base)
            for kind, name in sorted(named)
            if kind == "chat"
        ]
        return tuple(channels)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Who is told of which alerts, at once and if nobody acts, as configured.

        Raises ``ConfigError`` for a chat that has no address, and for e-mail without a server.
        """
        from qa_monitor.alerts import Recipients, Step, plan_routes

        settings, email = self.config.alerts, self.config.email
        named = [chat for one in settings.on_call for chat in one.chat]
        named += [chat for step in settings.escalation for chat in step.chat]
        for chat in named:
            if chat not in self._chats:
                raise ConfigError(
                    f"alerts: there is no address for the chat {chat}. Give one in "
                    f"{self.config.chat.urls_env} or chat.urls_file."
                )
        routes = plan_routes(
            plain=[
                *(["console"] if settings.console else []),
                *(["jsonl"] if settings.jsonl_file else []),
                *(["webhook"] if settings.webhook_url else []),
            ],
            email_to=email.to if email.host else (),
            chats=tuple(self._chats),
            on_call=[
                Recipients(team=one.team, email=one.email, chat=one.chat)
                for one in settings.on_call
            ],
            steps=[
                Step(
                    after_s=step.after_min * 60,
                    team=step.team,
                    remind=step.remind,
                    email=step.email,
                    chat=step.chat,
                )
                for step in settings.escalation
            ],
            from_severity={
                name: Severity(severity) for name, severity in settings.from_severity.items()
            },
        )
        if email.host is None and any(route.channel.startswith("email:") for route in routes):
            raise ConfigError("alerts go to e-mail addresses, but email.host names no mail server.")
        return routes

    @cached_property
    def _quiet(self) -> Quiet:
        from qa_monitor.alerts import Quiet, QuietHours

        settings, zone = self.config.alerts, self.config.intake.timezone
        passing = settings.quiet_lets_pass
        return Quiet(
            hours={
                name: QuietHours.parse(text, zone=zone)
                for name, text in settings.quiet_hours.items()
            },
            lets_pass=None if passing == "nothing" else Severity(passing),
        )

    @cached_property
    def _chats(self) -> Mapping[str, str]:
        from qa_monitor.alerts import read_chats

        settings = self.config.chat
        return read_chats(_secret(settings.urls_env, settings.urls_file) or "")

    @property
    def _webhook_secret(self) -> str | None:
        from qa_monitor.alerts import check_webhook_secret

        settings = self.config.alerts
        secret = _secret(settings.webhook_secret_env, settings.webhook_secret_file)
        return None if secret is None else check_webhook_secret(secret)

    @property
    def _mail_server(self) -> MailServer:
        from qa_monitor.alerts import MailServer

        settings = self.config.email
        password = None
        if settings.username is not None:
            password = _secret(settings.password_env, settings.password_file)
            if password is None:
                raise ConfigError(
                    f"email.username has no password. Set {settings.password_env}, or "
                    "email.password_file."
                )
        return MailServer(
            host=settings.host or "",
            port=settings.port,
            security=settings.security,
            sender=settings.sender or "",
            username=settings.username,
            password=password,
            ca_file=settings.ca_file,
            timeout_s=settings.timeout_s,
        )

    def deliver_alerts(self, *, retry_now: bool = False, wait_s: float = 30.0) -> DeliveryReport:
        """Hand pending alerts to their channels; what a channel refuses stays queued.

        Reminders are among them, and what waited for the end of quiet hours. ``retry_now`` tries
        again at once what failed a moment ago; while another process hands over, this one waits for
        ``wait_s`` seconds and then leaves it to that one.
        """
        from qa_monitor.alerts import deliver_pending

        return deliver_pending(
            self.store,
            self.channels,
            now=datetime.now(UTC),
            retry_now=retry_now,
            quiet=self._quiet,
            wait_s=wait_s,
        )

    def courier(
        self, *, every_s: float = 5.0, report: Callable[[QAMonitorError], None] = lambda _: None
    ) -> Courier:
        """Who hands over in the background what is due; to be started and stopped.

        ``report`` gets what a channel did not take, each kind of trouble once.
        """
        from qa_monitor.alerts import Courier

        return Courier(lambda: self.deliver_alerts(wait_s=0.0), every_s=every_s, report=report)

    def team_report(
        self, scope: Scope, *, first: date, last: date, team: str | None = None
    ) -> TeamReport:
        """The report on the calls of ``scope`` from day ``first`` to day ``last``, both included.

        Days are those of the centre's time zone. ``team`` keeps to one team of the scope. Raises
        ``UsageError`` for days that are no period, or a longer one than a year.
        """
        from qa_monitor.reports.team import MOST_DAYS, Period, team_report

        period = Period(first=first, last=last)
        if not 1 <= period.days <= MOST_DAYS:
            raise UsageError(f"a report is of 1 to {MOST_DAYS} days; its first day comes first.")
        rubrics = (self._rubrics.default, *self._rubrics.by_queue.values())
        return team_report(
            self.store,
            scope=scope if team is None else Scope(teams=frozenset({team}), besides=scope.besides),
            team=team,
            period=period,
            zone=ZoneInfo(self.config.intake.timezone),
            within=self._repeat_window,
            now=datetime.now(UTC),
            minimum_calls=self.config.reports.minimum_calls,
            asks={
                item: question.asks
                for rubric in reversed(rubrics)
                for item, question in rubric.checklist.items()
            },
        )

    def agent_reports(
        self,
        agents: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[AgentReport, ...]:
        """The reports of ``agents``, or of all that have calls in ``[since, until)``.

        Raises ``NotFoundError`` for an agent without calls, naming the agents there are.
        """
        return tuple(self._agent_reports(agents, since=since, until=until))

    def _agent_reports(
        self, agents: Sequence[str] | None, *, since: datetime | None, until: datetime | None
    ) -> Iterator[AgentReport]:
        from qa_monitor.reports import agent_report

        reporting, coaching = self.store.reporting, self.store.coaching
        known = sorted(reporting.counts(since=since, until=until))
        for agent_id in agents or ():
            if agent_id not in known:
                there = ", ".join(known) or "none; score recordings first"
                raise NotFoundError(
                    f"no scored call of agent {agent_id} in the period. Agents with calls: {there}."
                )
        now = datetime.now(ZoneInfo(self.config.intake.timezone))
        team = reporting.sums(since=since, until=until, scope=self._teams_of(agents or ()))
        for agent_id in known if agents is None else agents:
            goals = coaching.goals(agent_id, open_only=True)
            begin = None
            if since is not None:
                begin = min([since - ((until or now) - since), *(goal.set_at for goal in goals)])
            figures, corrections = self._figures(agent_id, since=begin, until=until)
            yield agent_report(
                agent_id,
                self.store.records(agent_id=agent_id, since=since, until=until),
                now=now,
                team=team,
                figures=figures,
                corrections=corrections,
                goals=goals,
                notes=coaching.notes(agent_id, shared_only=True, limit=_NOTES),
                since=since,
                until=until,
                minimum_calls=self.config.reports.minimum_calls,
            )

    def _teams_of(self, agents: Sequence[str]) -> Scope | None:
        """The teams of ``agents``, ``None`` where one has none: everybody is their colleague."""
        teams = [self.store.people.team_of(agent_id) for agent_id in agents]
        known = frozenset(team for team in teams if team is not None)
        return Scope(teams=known) if teams and None not in teams else None

    def _figures(
        self, agent_id: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[list[CallFigures], Mapping[str, Mapping[str, Correction]]]:
        """The figures of an agent's calls, and what people corrected of them by call id."""
        from qa_monitor.reports import figures_of
        from qa_monitor.scoring.metrics import call_measures

        contacts = self.contacts(agent_id=agent_id, since=since, until=until)
        figures, corrections = [], {}
        for call in self.store.reporting.calls(agent_id, since=since, until=until):
            call_id = call.recording.call_id
            measures = call_measures(
                call.metrics,
                call.recording,
                contacts=contacts.get(call_id),
                call_type=call.call_type,
            )
            figures.append(figures_of(call, measures))
            corrections[call_id] = call.corrections
        return figures, corrections

    def set_goal(
        self,
        agent_id: str,
        *,
        kind: GoalKind,
        code: str,
        wording: str,
        target: float,
        is_at_least: bool | None = None,
        due_on: date | None = None,
        by: str,
    ) -> Goal:
        """A goal for an agent, kept with what it measures in the four weeks until now.

        ``target`` is in the unit of ``code`` (see ``Goal``); which way it points is that of the
        measure, unless ``is_at_least`` says. Raises ``UsageError`` for what cannot be measured, or
        a target that cannot be.
        """
        from qa_monitor.reports import GOAL_RANGE, MEASURED, goal_measure, mean_of
        from qa_monitor.store import GoalKind

        now = datetime.now(UTC)
        figures, _ = self._figures(agent_id, since=now - _BASELINE, until=now)
        is_known = kind is not GoalKind.CHECKLIST or any(code in call.items for call in figures)
        unit = ""
        with suppress(KeyError, ValueError):
            unit = goal_measure(kind, code)[1]
        if not is_known or not unit:
            raise UsageError(
                "that cannot be a goal: name a criterion, a measure of the report, or an item of "
                "the checklist that was asked of the agent's calls in the last four weeks."
            )
        lowest, highest = GOAL_RANGE[unit]
        if not lowest <= target <= highest:
            raise UsageError(f"the target is outside {lowest:g} to {highest:g}.")
        baseline = mean_of(figures, kind, code)
        if is_at_least is None:
            is_at_least = kind is not GoalKind.MEASURE or not MEASURED[code].fewer_is_better
        return self.store.coaching.set_goal(
            agent_id,
            kind=kind,
            code=code,
            wording=wording,
            target=target,
            is_at_least=is_at_least,
            baseline=None if baseline is None else baseline.mean,
            baseline_n=0 if baseline is None else baseline.n,
            due_on=due_on,
            by=by,
            now=now,
        )

    def write_reports(
        self,
        agents: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Path, ...]:
        """The HTML reports of ``agents``, or of all and their index last, as files.

        They lie in the data folder's ``reports``; each is replaced whole. One report at a time is
        in memory.
        """
        from qa_monitor.reports import render_html, render_index, report_file_name

        folder = self.config.data.folder / "reports"
        written, listed = [], []
        for report in self._agent_reports(agents, since=since, until=until):
            text = render_html(report, link_base=self.config.alerts.link_base)
            written.append(write_private(folder / report_file_name(report.agent_id), text))
            # What the index does not show may be long.
            listed.append(replace(report, best=(), weakest=(), replays=(), urgent_calls=()))
        if agents is None:
            written.append(write_private(folder / "index.html", render_index(listed)))
        return tuple(written)

    # --- deleting --------------------------------------------------------------------------------

    @cached_property
    def keeper(self) -> Keeper:
        """Deletes calls, and what is older than it is to be kept (see ``retention``)."""
        from qa_monitor.retention import Keeper, KeepingTimes, QueueTimes

        settings, web = self.config.retention, self.config.web
        return Keeper(
            self.store,
            self.config.data.folder,
            secret=lambda: load_caller_secret(self._make_folder()),
            times=KeepingTimes(
                call_days=settings.call_days,
                audio_days=settings.audio_days,
                failure_days=settings.failure_days,
                access_log_days=settings.access_log_days,
                queues={
                    queue: QueueTimes(call_days=own.call_days, audio_days=own.audio_days)
                    for queue, own in settings.queues.items()
                },
                session_idle=timedelta(minutes=web.session_idle_min),
                session_absolute=timedelta(hours=web.session_hours),
            ),
        )

    # --- single stages ---------------------------------------------------------------------------

    def redact_text(
        self,
        text: str,
        *,
        kind: str | None = None,
        suffix: str = "",
        operators: Mapping[EntityType, str] | None = None,
        keep: Collection[EntityType] = (),
        by: str = "",
    ) -> RedactedDocument:
        """``text`` (a note, chat, captions, JSON) without its PHI, the same in all else.

        ``kind`` (a ``DocumentKind``) says what the text is where it does not show it, ``suffix``
        is that of its file.
        ``operators`` ("mask:4", "hash") go before those of the recognizers file. What ``keep``
        names is left as it is, for ``by``, and that is logged (``kept_log``) before anything is
        handed out. Nothing of the text is stored. Raises ``UsageError`` for a text that is not of
        its kind and for impossible operators, ``RedactionError``, and ``StoreError`` when the log
        cannot be written.
        """
        from qa_monitor.redaction.documents import DocumentKind, read_document, redact_document

        if kind is not None and kind not in set(DocumentKind):
            raise UsageError(f"no text is a {kind}; there are {', '.join(DocumentKind)}.")
        if keep and not by:
            raise UsageError("say by whom values are kept; that is logged.")
        chosen = self._operators(operators or {}, keep)
        document = read_document(text, kind=DocumentKind(kind) if kind else None, suffix=suffix)
        redacted = redact_document(
            document, self.redactor, chosen, entity_types=self._recognizers.thresholds
        )
        if keep:
            self._log_kept(redacted.kept, keep, by)
        return redacted

    @property
    def kept_log(self) -> Path:
        """Where it is logged that values were left as they were: who, when, which types."""
        return self.config.data.folder / "kept-phi.jsonl"

    @cached_property
    def _recognizers(self) -> RecognizerSettings:
        from qa_monitor.redaction.settings import load_settings

        return load_settings(self.config.redaction.recognizers_file)

    def _operators(
        self, named: Mapping[EntityType, str], keep: Collection[EntityType]
    ) -> Operators:
        from qa_monitor.redaction.operators import Operator, OperatorName, Operators

        by_type = dict(self._recognizers.operators)
        for entity_type, text in named.items():
            if entity_type in keep:
                raise UsageError(f"{entity_type} is kept, and has an operator too; choose one.")
            problem = ""
            try:
                by_type[entity_type] = Operator.parse(text)
            except ValueError as error:
                problem = str(error)
            if problem or by_type[entity_type].name is OperatorName.KEEP:
                raise UsageError(
                    f"the operator of {entity_type}: {problem or 'keep has an option of its own'}."
                )
        by_type |= dict.fromkeys(keep, Operator(OperatorName.KEEP))
        needs_key = any(operator.name is OperatorName.HASH for operator in by_type.values())
        return Operators(by_type, load_caller_secret(self._make_folder()) if needs_key else b"")

    def _log_kept(
        self, kept: Mapping[EntityType, int], keep: Collection[EntityType], by: str
    ) -> None:
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "by": by,
            "kept": {entity_type.value: kept.get(entity_type, 0) for entity_type in sorted(keep)},
        }
        self._make_folder()
        problem = None
        try:
            handle = os.open(self.kept_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            problem = error.strerror
        if problem:
            raise StoreError(
                f"that values are kept cannot be logged in {self.kept_log} ({problem}), so nothing "
                "was handed out. Free disk space or mend the permissions."
            )

    def transcribe(
        self, path: Path, *, agent_channel: int | None = None, observer: Observer | None = None
    ) -> Dialogue:
        """What is said in one recording, by speaker. Holds PHI; nothing is kept.

        ``agent_channel`` is 0 or 1 where it is known better than by configuration and metadata.
        """
        return self._hear(path, observer, agent_channel)[2]

    def redact_recording(
        self, path: Path, *, output: Path | None, observer: Observer | None = None
    ) -> RedactedDialogue:
        """The redacted transcript of one recording, and its redacted sound in ``output``."""
        from qa_monitor.audio import write_audio
        from qa_monitor.pipeline import redacted_audio

        if output is not None and output.resolve() == path.resolve():
            raise UsageError("the output would replace the recording; give it a name of its own.")
        audio, transcript, dialogue = self._hear(path, observer)
        redacted = self.redactor.redact(dialogue)
        if output is not None:
            settings = self.config.audio
            quiet = redacted_audio(
                audio,
                transcript,
                redacted,
                mode=settings.redact_with,
                margin_s=settings.margin_s,
            )
            write_audio(output, quiet)
        return redacted

    def _hear(
        self, path: Path, observer: Observer | None, agent_channel: int | None = None
    ) -> tuple[DecodedAudio, Transcript, Dialogue]:
        from qa_monitor.pipeline import decode_limits, hear, intake_rules

        # Nothing is kept under an agent's name, so it does not matter whose call it is.
        rules = replace(intake_rules(self.config), agents=frozenset())
        intakes, refusals = take_in([str(path)], metadata=None, rules=rules)
        for refusal in refusals:
            raise refusal.error
        if len(intakes) != 1:
            raise UsageError("name one recording.")
        (intake,) = intakes
        if agent_channel is not None:
            intake = replace(intake, agent_channel=agent_channel)
        watching = observer or SilentObserver()
        return hear(
            intake,
            self.recogniser,
            decode_limits(self.config),
            progress=lambda stage, fraction: watching.advanced(intake.call_id, stage, fraction),
        )


def _secret(variable: str, file: Path | None) -> str | None:
    """What ``file`` holds, else the environment variable; ``None`` where there is nothing."""
    problem = None
    if file is None:
        return os.environ.get(variable, "").strip() or None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
    raise ConfigError(f"the secret in {file} cannot be read ({problem}).")


def write_private(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """``path``, holding ``text`` whole or left as it was; readable by its owner only.

    What is there and is no file, as ``/dev/stdout``, is written to and not replaced.
    """
    problem = None
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding=encoding)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding=encoding, newline="") as file:
                file.write(text)
            draft.replace(path)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise StoreError(
            f"{path} cannot be written ({problem}). Free disk space or mend the permissions."
        )
    return path
