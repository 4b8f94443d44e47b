"""Every setting once: its name, its default, what it does, and what values it takes.

A configuration is one TOML file. ``load_config`` reads it; ``write_default_config`` writes one in
which every setting stands with its help, commented out at its default, so that the file is its own
documentation. Stages never read the configuration: ``pipeline.build_stages`` hands them values.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from qa_monitor.errors import ConfigError

__all__ = [
    "CONFIG_NAME",
    "AlertSettings",
    "AsrSettings",
    "AudioSettings",
    "ChatSettings",
    "CoachingSettings",
    "Config",
    "DataSettings",
    "EmailSettings",
    "EscalationStep",
    "IntakeSettings",
    "OnCall",
    "QueueRetention",
    "RedactionSettings",
    "ReportSettings",
    "RetentionSettings",
    "ReviewSettings",
    "ScoringSettings",
    "SourceSettings",
    "WatchSettings",
    "WebSettings",
    "find_config",
    "is_loopback",
    "load_config",
    "write_default_config",
]

CONFIG_NAME = "qa-monitor.toml"
_PATTERN_GROUPS = {"agent_id", "call_id", "started_at", "queue", "direction", "interaction_id"}

AgentChannel = Literal["left", "right", "auto"]


def _is_filename_pattern(pattern: str) -> str:
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if not groups or not groups <= _PATTERN_GROUPS:
        raise ValueError(f"must name groups among {', '.join(sorted(_PATTERN_GROUPS))}")
    return pattern


FilenamePattern = Annotated[str, AfterValidator(_is_filename_pattern)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Section):
    """Where the product keeps what it makes."""

    folder: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("qa-monitor", appauthor=False)),
        description="Folder of the database, the redacted recordings and the reports.",
    )
    database: str = Field(
        "",
        description="SQLAlchemy URL of the database; empty: SQLite in the data folder.",
    )

    @property
    def database_url(self) -> str:
        """The URL to open, with the default filled in."""
        return self.database or f"sqlite:///{(self.folder / 'qa-monitor.sqlite').absolute()}"


class SourceSettings(_Section):
    """What differs from source to source; a source is a recorder, a site, a queue of files."""

    agent_channel: AgentChannel | None = Field(
        None,
        description="Which channel of a two-channel recording is the agent's.",
        examples=["right"],
    )
    filename_patterns: tuple[FilenamePattern, ...] | None = Field(
        None,
        description="File-name patterns of this source.",
        examples=[(r"^(?P<call_id>\d+)",)],
    )


class IntakeSettings(_Section):
    """How recordings are found and named."""

    source: str = Field(
        "calls",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$",
        description="Name of the source of recordings whose metadata names none; part of call ids.",
    )
    agent_channel: AgentChannel = Field(
        "auto",
        description="Which channel of a two-channel recording is the agent's; "
        "auto: decided by what is said.",
    )
    filename_patterns: tuple[FilenamePattern, ...] = Field(
        (
            r"^(?P<agent_id>[A-Za-z]+-?\d+)_(?P<call_id>[A-Za-z]{0,4}-?\d+)"
            r"_(?P<started_at>\d{8}T\d{6})",
        ),
        description="Regular expressions tried in turn on a recording's file name; named groups "
        "agent_id, call_id, started_at, queue, direction, interaction_id.",
    )
    time_format: str = Field(
        "%Y%m%dT%H%M%S", description="strptime format of started_at in file names."
    )
    timezone: str = Field(
        "UTC", description="IANA time zone of times that state none, in names and metadata."
    )
    agents: tuple[str, ...] = Field(
        (),
        description="The agent ids of the centre; empty: every id is taken. A recording of any "
        "other agent is refused, so that a typing error does not make a new agent.",
    )


class AudioSettings(_Section):
    """Limits of decoding, and what is kept of a recording."""

    max_duration_h: float = Field(
        4.0, gt=0, le=24, description="Longer recordings are refused, in hours."
    )
    max_size_mb: float = Field(4096.0, gt=0, description="Larger files are refused, in megabytes.")
    keep_redacted: bool = Field(
        True, description="Keep a copy of each recording with the PHI made inaudible."
    )
    keep_original: bool = Field(
        False,
        description="Keep a copy of each recording as it was, too, with all the PHI in it; for "
        "centres that must be able to listen to it again (see web.allow_unredacted).",
    )
    redact_with: Literal["mute", "beep"] = Field(
        "mute", description="What stands over PHI in the kept copy."
    )
    margin_s: float = Field(
        0.15, ge=0, le=2, description="Seconds silenced before and after each PHI span."
    )
    verify: Literal["off", "flag", "fail"] = Field(
        "off",
        description="Listen to each kept copy again; scoring takes three quarters as long again. "
        "flag: mark calls in which PHI can still be heard for review; fail: keep nothing of them, "
        "alerts included, and mark those that are unsure.",
    )
    verify_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="The share of calls that is listened to again; by their ids, so that it is "
        "the same calls each time.",
    )


class AsrSettings(_Section):
    """The recogniser."""

    model: str = Field(
        "auto",
        description="auto: the best installed model; else a faster-whisper name that was pulled, "
        "or a local folder.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where it runs.")
    compute_type: str = Field(
        "default", description="CTranslate2 compute type; default: as the model was converted."
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0: all cores.")
    batch_size: int = Field(8, ge=1, le=256, description="Windows recognised at once.")
    language: str = Field("en", pattern=r"^[a-z]{2,3}$", description="Language of the calls.")


class RedactionSettings(_Section):
    """Finding PHI."""

    recognizers_file: Path | None = Field(
        None, description="Recognizers to use in place of the ones that ship."
    )


class ScoringSettings(_Section):
    """Scoring the redacted call."""

    rubric_file: Path | None = Field(None, description="Rubric in place of the one that ships.")
    department_rubrics: dict[str, Path] = Field(
        default_factory=dict,
        description="Rubrics of departments by the queue of their calls, as "
        '{ billing = "billing.toml", nurses = "nurses.toml" }; the rest goes by rubric_file.',
    )
    red_flags_file: Path | None = Field(
        None, description="Red-flag list in place of the one that ships."
    )
    repeat_days: float = Field(
        7.0,
        gt=0,
        le=90,
        description="A call by the same caller within so many days is a repeat call; only when "
        "they have passed is a matter settled in the first contact.",
    )


SeverityName = Literal["critical", "high", "medium", "low"]
EmailAddress = Annotated[str, Field(pattern=r"^[^@\s,<>]+@[^@\s,<>]+$", max_length=254)]
ChatName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
_QUIET = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})(?: (\S+))?", re.ASCII)


def _is_quiet_time(text: str) -> str:
    match = _QUIET.fullmatch(text)
    if match is None:
        raise ValueError('must be a time and, if need be, a zone, as "22:00-07:00 Europe/London"')
    hours = [int(part) for part in match.groups()[:4]]
    if max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59 or hours[:2] == hours[2:]:
        raise ValueError("must go from one time of the day to another")
    if match[5] is not None:
        _check_zone(match[5])
    return text


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is no IANA time zone, as America/Chicago is") from None


QuietTime = Annotated[str, AfterValidator(_is_quiet_time)]


class OnCall(_Section):
    """Who is told of the calls of one team, in place of those who are told of all others."""

    team: str = Field(min_length=1, max_length=64)
    email: tuple[EmailAddress, ...] = ()
    chat: tuple[ChatName, ...] = ()


class EscalationStep(_Section):
    """Who is told when an alert has been open for so long; of one team, or of those without any."""

    after_min: float = Field(gt=0, le=10_080)
    team: str | None = Field(None, min_length=1, max_length=64)
    remind: bool = False
    email: tuple[EmailAddress, ...] = ()
    chat: tuple[ChatName, ...] = ()

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if not (self.remind or self.email or self.chat):
            raise ValueError("must tell somebody: remind = true, email or chat")
        return self


class AlertSettings(_Section):
    """Who is told of urgent calls, and how. E-mail and chat have tables of their own below."""

    policy_file: Path | None = Field(None, description="Policy in place of the one that ships.")
    console: bool = Field(True, description="Print alerts on stderr as they are raised.")
    jsonl_file: Path | None = Field(None, description="Append each alert to this file, one a line.")
    webhook_url: str | None = Field(
        None, pattern=r"^https?://", description="Send each alert to this address."
    )
    webhook_secret_env: str = Field(
        "QA_MONITOR_WEBHOOK_SECRET",
        description="Environment variable with the secret (whsec_...) by which webhooks are signed "
        "as Standard Webhooks; without a secret they are not signed.",
    )
    webhook_secret_file: Path | None = Field(
        None, description="File with that secret, in place of the variable."
    )
    link_base: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Address of the pages, as https://qa.example.org; messages link to the page of "
        "their alert there.",
    )
    from_severity: dict[Literal["console", "jsonl", "webhook", "email", "chat"], SeverityName] = (
        Field(
            default_factory=dict,
            description="The least severity of which a channel is told, as "
            '{ email = "high", chat = "critical" }; else of all.',
        )
    )
    on_call: tuple[OnCall, ...] = Field(
        (),
        description="Who is told of calls of a team's agents in place of email.to and of the chats "
        'that no team names, as [{ team = "north", email = ["lead@example.org"] }].',
    )
    escalation: tuple[EscalationStep, ...] = Field(
        (),
        description="Who is told when nobody has acted for so many minutes (remind: those who were "
        "told first), as [{ after_min = 15, remind = true }, { after_min = 30, email = "
        '["head@example.org"] }]; steps with a team are for its calls, the others for those of '
        "teams without any.",
    )
    quiet_hours: dict[str, QuietTime] = Field(
        default_factory=dict,
        description="When a channel (webhook, email, chat) or one address or chat is not told; "
        'what waits is sent at the end. As { email = "22:00-07:00 America/Chicago" }; without a '
        "zone that of intake.timezone.",
    )
    quiet_lets_pass: SeverityName | Literal["nothing"] = Field(
        "critical", description="From this severity on alerts are sent in quiet hours too."
    )


class EmailSettings(_Section):
    """Alerts by e-mail."""

    host: str | None = Field(None, description="Mail server; without one no e-mail is sent.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="How the connection is kept secret; none is for a server on this machine only.",
    )
    ca_file: Path | None = Field(
        None, description="Certificates to trust in place of the system's, a PEM file."
    )
    username: str | None = Field(None, description="Account to sign in with.")
    password_env: str = Field(
        "QA_MONITOR_SMTP_PASSWORD", description="Environment variable with its password."
    )
    password_file: Path | None = Field(
        None, description="File with the password, in place of the variable."
    )
    sender: EmailAddress | None = Field(None, description="Whom alerts come from.")
    to: tuple[EmailAddress, ...] = Field(
        (), description="Who is told of alerts; each gets a message of their own."
    )
    timeout_s: float = Field(20.0, gt=0, le=60, description="Longest wait for the server.")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.host is None:
            return self
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError('security = "none" is for a server on this machine only')
        if self.sender is None:
            raise ValueError("sender must say whom alerts come from")
        return self


class ChatSettings(_Section):
    """Alerts to Slack, Teams and the like, through Apprise."""

    urls_env: str = Field(
        "QA_MONITOR_CHAT_URLS",
        description="Environment variable with the Apprise addresses, each with a name: "
        "ops=slack://... lead=msteams://...; they hold secrets. Those that alerts.on_call and "
        "alerts.escalation do not name are told of all alerts.",
    )
    urls_file: Path | None = Field(
        None, description="File with the addresses, one a line, in place of the variable."
    )


class WatchSettings(_Section):
    """Taking up recordings as they are finished (qa-monitor watch)."""

    every_s: float = Field(
        2.0,
        gt=0,
        le=3600,
        description="Seconds between two looks; looking never takes more than a fifth of the time.",
    )
    stable_s: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="A recording is finished when size and time have not changed for so long.",
    )
    sidecar_wait_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="A finished recording without a JSON file beside it or a row of call records "
        "waits so long for one; 0: not at all. What comes later corrects the call.",
    )


class ReportSettings(_Section):
    """The per-agent reports."""

    minimum_calls: int = Field(
        3, ge=1, description="With fewer scored calls a report says so and shows no trend."
    )


class QueueRetention(_Section):
    """How long the calls of one queue are kept; what is not set is as for all others."""

    call_days: int | None = Field(
        None, ge=0, le=36_500, description="Days for which they are kept; 0: for good."
    )
    audio_days: int | None = Field(
        None, ge=0, le=36_500, description="Days for which their sound is kept; 0: for good."
    )


class RetentionSettings(_Section):
    """How long things are kept (qa-monitor retention, and once a day while serve runs)."""

    call_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after its beginning when a call is deleted with all that was made of it: "
        "transcript, scores, sound, alerts, what people wrote; 0: never.",
    )
    audio_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days after its beginning when the recordings kept of a call are deleted; "
        "0: with the call.",
    )
    failure_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which it is noted that a recording could not be scored; 0: for good.",
    )
    access_log_days: int = Field(
        2192,
        ge=0,
        le=36_500,
        description="Days for which the access log is kept; 0: for good. The default is six years, "
        "for which HIPAA has documentation kept [45 CFR 164.316(b)(2)(i)].",
    )
    queues: dict[str, QueueRetention] = Field(
        default_factory=dict,
        description="Other times for the calls of single queues, as "
        "{ billing = { call_days = 365, audio_days = 30 } }.",
    )


class WebSettings(_Section):
    """The pages and their API (qa-monitor serve)."""

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Any but this machine's own needs TLS, here or in a "
        "proxy in front.",
    )
    port: int = Field(8710, ge=0, le=65535, description="Port to listen on; 0: any that is free.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the pages are opened, as qa.example.org; requests for "
        "others are refused. localhost and web.host are always among them.",
    )
    tls_certificate: Path | None = Field(None, description="TLS certificate chain, a PEM file.")
    tls_key: Path | None = Field(None, description="Its private key, a PEM file.")
    behind_proxy: bool = Field(
        False,
        description="A proxy on this machine does TLS and says by X-Forwarded-For who asks.",
    )
    session_idle_min: float = Field(
        30.0, gt=0, le=1440, description="Minutes without a request after which a sign-in ends."
    )
    session_hours: float = Field(
        12.0, gt=0, le=168, description="Hours after which a sign-in ends in any case."
    )
    allow_unredacted: bool = Field(
        False,
        description="Let reviewers and supervisors hear kept originals (audio.keep_original), each "
        "time with a reason that they type and that is logged.",
    )


class CoachingSettings(_Section):
    """What agents and coaches agree on."""

    dispute_days: int = Field(
        14,
        ge=1,
        le=90,
        description="For so many days an agent may dispute a score, counted from the day it was "
        "made or first shown to the agent, whichever is later.",
    )


class ReviewSettings(_Section):
    """Which calls people are asked to review."""

    random_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The share of calls drawn at random to be read blind; only these tell how good "
        "the machine is in all calls.",
    )
    double_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The share of reviewed calls that a second reviewer is asked to read blind.",
    )
    days_back: int = Field(
        60, ge=1, le=3650, description="Older calls are no longer asked for, in days."
    )
    per_agent_floor: int = Field(
        2,
        ge=0,
        le=100,
        description="At least so many calls of each agent are asked for in a month; 0: none.",
    )


class Config(_Section):
    """All settings; the sections are the tables of the file."""

    data: DataSettings = Field(default_factory=lambda: DataSettings.model_validate({}))
    intake: IntakeSettings = IntakeSettings.model_validate({})
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    audio: AudioSettings = AudioSettings.model_validate({})
    asr: AsrSettings = AsrSettings.model_validate({})
    redaction: RedactionSettings = RedactionSettings.model_validate({})
    scoring: ScoringSettings = ScoringSettings.model_validate({})
    alerts: AlertSettings = AlertSettings.model_validate({})
    email: EmailSettings = EmailSettings.model_validate({})
    chat: ChatSettings = ChatSettings.model_validate({})
    watch: WatchSettings = WatchSettings.model_validate({})
    reports: ReportSettings = ReportSettings.model_validate({})
    coaching: CoachingSettings = CoachingSettings.model_validate({})
    review: ReviewSettings = ReviewSettings.model_validate({})
    retention: RetentionSettings = RetentionSettings.model_validate({})
    web: WebSettings = WebSettings.model_validate({})


def is_loopback(host: str) -> bool:
    """Whether ``host`` names this machine itself."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def find_config() -> Path | None:
    """The configuration that applies here, or ``None``.

    ``QA_MONITOR_CONFIG`` before ``qa-monitor.toml`` in the working folder before the one in the
    user's configuration folder.
    """
    if named := os.environ.get("QA_MONITOR_CONFIG"):
        return Path(named)
    user_folder = Path(platformdirs.user_config_dir("qa-monitor", appauthor=False))
    for folder in (Path.cwd(), user_folder):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def load_config(path: Path | None = None) -> Config:
    """The settings in ``path``, or the defaults when it is ``None``.

    Relative paths in the file are taken from the file's folder. Raises ``ConfigError`` naming the
    setting and the fault.
    """
    if path is None:
        return Config()
    problem: str
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return Config.model_validate(_resolve_paths(raw, path.resolve().parent))
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = f"is not TOML: {error}"
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except RuntimeError as error:
        # Too deep to be read, or a path in the home of a user that there is not.
        problem = f"cannot be understood ({type(error).__name__})"
    raise ConfigError(
        f"configuration {path}: {problem}. Correct it, or write a fresh one with: qa-monitor init"
    )


def write_default_config(path: Path, *, data_folder: Path | None = None) -> None:
    """Write a configuration in which every setting stands with its help, at its default.

    ``data_folder`` is set, the rest is commented out. Raises ``ConfigError`` if ``path`` exists.
    """
    lines = [
        "# qa-monitor configuration. Every setting stands here with its default, commented out;",
        "# take the # away to change one. Relative paths are taken from this file's folder.",
    ]
    for section, section_field in Config.model_fields.items():
        if section == "sources":
            lines += ["", "# What differs by source, a table each:", "# [sources.NAME]"]
            settings: Any = SourceSettings
        else:
            settings = section_field.annotation
            lines += ["", f"# {(settings.__doc__ or '').strip()}", f"[{section}]"]
        for name, setting in settings.model_fields.items():
            lines.append(f"# {setting.description}")
            if section == "data" and name == "folder" and data_folder is not None:
                lines.append(f"folder = {_toml(data_folder)}")
                continue
            default = setting.get_default(call_default_factory=True)
            if default is None and setting.examples:
                default = setting.examples[0]
            lines.append(f"# {name} = {_toml(default)}")
    problem = None
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except FileExistsError:
        problem = "exists already; it is left as it is"
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        with suppress(OSError):
            path.unlink(missing_ok=True)
    if problem:
        raise ConfigError(f"configuration {path} {problem}")


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # JSON writes strings and numbers as TOML does, but for its pairs of escapes.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _resolve_paths(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``raw`` with its path settings made absolute and its empty ones taken as not set."""
    resolved: dict[str, Any] = {}
    for section, settings in raw.items():
        field = Config.model_fields.get(section)
        if field is None or not isinstance(settings, dict) or section == "sources":
            resolved[section] = settings
            continue
        section_fields = getattr(field.annotation, "model_fields", {})
        table: dict[str, Any] = {}
        for name, value in settings.items():
            known = section_fields.get(name)
            if known is not None and value == "" and known.get_default() is None:
                continue
            is_path = known is not None and "Path" in str(known.annotation)
            is_model_folder = (section, name) == ("asr", "model") and str(value).startswith(".")
            if isinstance(value, str) and (is_path or is_model_folder):
                value = _resolve_path(value, folder)
            elif isinstance(value, dict) and is_path:
                value = {
                    key: _resolve_path(path, folder) if isinstance(path, str) else path
                    for key, path in value.items()
                }
            table[name] = value
        resolved[section] = table
    return resolved


def _resolve_path(value: str, folder: Path) -> str:
    return os.path.normpath(folder / Path(value).expanduser())
