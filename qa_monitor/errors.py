"""Every error that qa_monitor raises on purpose.

::

    QAMonitorError                      exit  what a user does next
    ├── UsageError                         2  corrects the command
    │   └── ConflictError                     (somebody else was first; looks again and decides)
    ├── ConfigError                        3  corrects the configuration, policy or rubric file
    ├── RecordingError                     4  looks at the recording
    │   ├── NotAudioError                     (not audio, empty, truncated, format not allowed)
    │   ├── TooLongError                      (over the limit of duration or size)
    │   └── NoSpeechError                     (silent: nothing to score)
    ├── MetadataError                      5  corrects the call records
    ├── ModelError                         6  installs or mends a model
    │   └── ModelDownloadError                (pull failed or did not verify)
    ├── StageError                         7  reads the stage and kind; text is never in it
    │   ├── TranscriptionError
    │   ├── RedactionError                    (fails closed: nothing of the call is kept)
    │   └── ScoringError
    ├── StoreError                         8  frees disk space, checks the database
    ├── DeliveryError                      9  checks the alert channel; the alert stays queued
    ├── NotFoundError                     10  asks for a call or agent that exists
    ├── AccessDeniedError                 13  asks somebody who may
    │   └── SignInError                       (wrong name or password, or too many tries)
    └── LeakError                         12  listens where it says; redacts or deletes the copy

Exit 1 is left to faults of qa_monitor itself, 11 says that some calls of a batch failed and the
rest was done, 130 that the user stopped the run.

A message says what happened, to which call, and what to do next, and never holds words of a call.
Errors of engines are translated outside their handler (no ``raise ... from``), because an engine's
message may quote the caller; the kind of the original error is kept as ``kind``.
"""

from __future__ import annotations

__all__ = [
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_SOME_FAILED",
    "AccessDeniedError",
    "ConfigError",
    "ConflictError",
    "DeliveryError",
    "LeakError",
    "MetadataError",
    "ModelDownloadError",
    "ModelError",
    "NoSpeechError",
    "NotAudioError",
    "NotFoundError",
    "QAMonitorError",
    "RecordingError",
    "RedactionError",
    "ScoringError",
    "SignInError",
    "StageError",
    "StoreError",
    "TooLongError",
    "TranscriptionError",
    "UsageError",
]

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_SOME_FAILED = 11
EXIT_INTERRUPTED = 130


class QAMonitorError(Exception):
    """What all errors below share.

    ``message`` is one line for people; ``call_id`` names the call it is about, if any; ``kind`` is
    the class name of the foreign error behind it, if any.
    """

    exit_code = EXIT_INTERNAL

    def __init__(
        self, message: str, *, call_id: str | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.call_id = call_id
        self.kind = kind


class UsageError(QAMonitorError):
    """The command cannot be carried out as it was given."""

    exit_code = 2


class ConflictError(UsageError):
    """Somebody else changed the same thing first; the message says who, what and when."""


class ConfigError(QAMonitorError):
    """A configuration, policy or rubric file says something impossible."""

    exit_code = 3


class RecordingError(QAMonitorError):
    """A recording cannot be used."""

    exit_code = 4


class NotAudioError(RecordingError):
    """The file is empty, truncated, not audio, or in a format that is not allowed."""


class TooLongError(RecordingError):
    """The recording is over the limit of duration or size."""


class NoSpeechError(RecordingError):
    """The recording holds no speech."""


class MetadataError(QAMonitorError):
    """Call records cannot be read or do not fit the recordings."""

    exit_code = 5


class ModelError(QAMonitorError):
    """A model is missing, damaged, or not what it should be."""

    exit_code = 6


class ModelDownloadError(ModelError):
    """A model could not be fetched whole."""


class StageError(QAMonitorError):
    """A stage failed on a call; the message names stage and kind only."""

    exit_code = 7


class TranscriptionError(StageError):
    """The recogniser failed."""


class RedactionError(StageError):
    """Redaction failed; nothing of the call was kept."""


class ScoringError(StageError):
    """Scoring failed."""


class StoreError(QAMonitorError):
    """The database cannot be opened, read or written."""

    exit_code = 8


class DeliveryError(QAMonitorError):
    """An alert could not be handed over; it stays queued."""

    exit_code = 9


class NotFoundError(QAMonitorError):
    """There is no such call, agent or model."""

    exit_code = 10


class LeakError(QAMonitorError):
    """PHI can be heard in a redacted recording; the message names types and times only."""

    exit_code = 12


class AccessDeniedError(QAMonitorError):
    """The user may not do this, or not with this call."""

    exit_code = 13


class SignInError(AccessDeniedError):
    """Nobody is signed in by this; the message does not say whether the name exists."""
