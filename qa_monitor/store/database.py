"""The one place that opens the database, and that says what its errors mean.

``open_engine`` returns an engine on a database whose tables are current; ``Database`` is what the
parts of the store do their transactions with. SQLite and PostgreSQL are supported; a SQLite file is
readable by its owner only, and what is deleted from it is overwritten.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from qa_monitor.errors import ConfigError, QAMonitorError, StoreError
from qa_monitor.store.tables import HEAD_REVISION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

__all__ = ["DATABASE_ERRORS", "Database", "explain", "for_writing", "open_engine", "place_of"]

_T = TypeVar("_T")

DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error)
"""What the engine and its drivers raise; ``explain`` turns it into a ``StoreError``."""

_BUSY_TIMEOUT_S = 30.0
_MIGRATION_LOCK = 0x71616D6F6E
_WRITING = "qa_monitor_writing"


def open_engine(url: str) -> Engine:
    """An engine on the database at ``url``, with its tables brought up to date.

    Raises ``ConfigError`` for a URL that cannot be used and ``StoreError`` for a database that
    cannot.
    """
    parsed = _parse(url)
    place = place_of(parsed)
    _prepare_file(parsed, place)
    engine = _make_engine(parsed)
    problem: QAMonitorError
    try:
        _migrate(engine, place)
    except StoreError as error:
        problem = error
    except DATABASE_ERRORS as error:
        problem = explain(error, place)
    except (TypeError, ValueError) as error:
        # Drivers are handed the URL's options when they connect.
        problem = _unknown_option(error)
    else:
        return engine
    engine.dispose()
    raise problem


class Database:
    """An open database: work on it is one transaction each, and its errors are ``StoreError``."""

    def __init__(self, engine: Engine) -> None:
        self._reading = engine
        self._writing = for_writing(engine)
        self._place = place_of(engine.url)
        self.insert = postgresql.insert if engine.name == "postgresql" else sqlite.insert
        """``INSERT`` as this database has it, with ``on_conflict_do_update``."""

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; PostgreSQL if not."""
        return self._reading.name == "sqlite"

    def close(self) -> None:
        """Close every connection."""
        self._reading.dispose()

    def read(self, work: Callable[[Connection], _T], call_id: str | None = None) -> _T:
        """What ``work`` returns, of one state of the database; messages name ``call_id``."""
        return self._transact(self._reading, work, call_id)

    def write(self, work: Callable[[Connection], _T], call_id: str | None = None) -> _T:
        """The same for work that changes: all that it does is kept, or nothing of it."""
        return self._transact(self._writing, work, call_id)

    def empty_log(self, call_id: str | None = None) -> None:
        """Empty SQLite's write-ahead log, so that what was deleted is gone from the disk."""
        if self.is_sqlite:
            self._guard(self._checkpoint, call_id)

    def _checkpoint(self) -> None:
        # Not within a transaction, so past the engine, which begins one.
        connection = self._reading.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()

    def _transact(
        self, engine: Engine, work: Callable[[Connection], _T], call_id: str | None
    ) -> _T:
        def transaction() -> _T:
            with engine.begin() as connection:
                return work(connection)

        return self._guard(transaction, call_id)

    def _guard(self, work: Callable[[], _T], call_id: str | None) -> _T:
        """What ``work`` returns; the database's own errors become ``StoreError``.

        The new error is raised after the handler has ended: the old one may quote what is stored.
        """
        problem: StoreError
        try:
            return work()
        except QAMonitorError:
            raise
        except DATABASE_ERRORS as error:
            problem = explain(error, self._place, call_id=call_id)
        except ValueError as error:
            problem = StoreError(
                f"{f'call {call_id}: ' if call_id else ''}the database {self._place} holds, or was "
                f"given, a value that cannot be ({type(error).__name__}). If it is damaged, "
                "restore it from a backup, or score the recording again.",
                call_id=call_id,
                kind=type(error).__name__,
            )
        raise problem


def for_writing(engine: Engine) -> Engine:
    """``engine``, whose transactions take SQLite's write lock when they begin.

    A transaction that reads first and asks for the lock later fails at once, without waiting, when
    another has written in between.
    """
    return engine.execution_options(**{_WRITING: True})


def place_of(url: URL) -> str:
    """How messages name the database: without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    return url.set(query={}).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    parsed = None
    with suppress(ArgumentError):
        parsed = make_url(url)
    if parsed is None or parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(
            "data.database is not the URL of a SQLite or PostgreSQL database. "
            "Write sqlite:////folder/file.sqlite or postgresql+psycopg://user@host/database."
        )
    return parsed


def _prepare_file(url: URL, place: str) -> None:
    """Make the SQLite file for its owner only; its write-ahead log takes over the mode."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name.startswith((":memory:", "file:")):
        return
    path = Path(name)
    problem = None
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with suppress(PermissionError):
            path.chmod(0o600)
    except OSError as error:
        problem = StoreError(
            f"the database {place} cannot be opened ({error.strerror}). "
            "Check that its folder exists and that this account may use it.",
            kind=type(error).__name__,
        )
    if problem:
        raise problem


def _make_engine(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {}
    if is_sqlite and "timeout" not in url.query:
        arguments["timeout"] = _BUSY_TIMEOUT_S
    problem = None
    try:
        # Values hold PHI: hidden, they stay out of whatever the engine says.
        engine = create_engine(
            url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not is_sqlite
        )
    except ImportError as error:
        problem = ConfigError(
            f"the driver of {url.drivername} is not installed. For PostgreSQL, install psycopg: "
            'pip install "psycopg[binary]"',
            kind=type(error).__name__,
        )
    except (SQLAlchemyError, TypeError, ValueError) as error:
        problem = _unknown_option(error)
    if problem:
        raise problem
    if is_sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _unknown_option(error: Exception) -> ConfigError:
    return ConfigError(
        "data.database is a URL with an option that the database does not take. "
        "Take away what stands after the question mark.",
        kind=type(error).__name__,
    )


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions late and leave table changes outside them.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


# --- migrations ----------------------------------------------------------------------------------


def _migrate(engine: Engine, place: str) -> None:
    with engine.connect() as connection:
        if _revision(connection) == HEAD_REVISION:
            return
    with _without_foreign_keys(engine) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        revision = _revision(connection)
        if revision == HEAD_REVISION:
            return
        if revision is None and inspect(connection).get_table_names():
            raise StoreError(
                f"{place} holds the tables of another program. "
                "Set data.database to a database of its own."
            )
        _upgrade(connection, revision, place)


@contextmanager
def _without_foreign_keys(engine: Engine) -> Iterator[Connection]:
    """A connection for writing on which SQLite heeds no foreign keys.

    SQLite changes a table by making a new one and dropping the old one, which, with foreign keys,
    would delete all that refers to it. It can be told so outside a transaction only.
    """
    is_sqlite = engine.name == "sqlite"
    with for_writing(engine).connect() as connection:
        if is_sqlite:
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        try:
            yield connection
        finally:
            if is_sqlite:
                connection.connection.cursor().execute("PRAGMA foreign_keys = ON")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: Connection, revision: str | None, place: str) -> None:
    """Run the migrations after ``revision`` within the transaction of ``connection``."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    settings = Config()
    settings.set_main_option("script_location", "qa_monitor.store:migrations")
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"the database {place} was made by a newer version of qa-monitor. "
            "Install that version; this one leaves the database as it is."
        )
    command.upgrade(settings, "head")
    if (
        connection.dialect.name == "sqlite"
        and connection.execute(text("PRAGMA foreign_key_check")).first()
    ):
        raise StoreError(
            f"the database {place} is damaged: parts of calls are missing. It was left as it is; "
            "restore it from a backup, or move it away and score the recordings again."
        )


# --- errors --------------------------------------------------------------------------------------

_MEANINGS = {
    "full": "the disk of the database {place} is full. Free disk space and run again; "
    "what was saved before is kept.",
    "locked": "another program keeps the database {place} locked. "
    "Wait for it to end, or stop it, and run again.",
    "read-only": "the database {place} may not be written. "
    "Mend the permissions of the file and of its folder.",
    "damaged": "the database {place} is damaged or is not a database. Restore it from a backup, "
    "or move it away and score the recordings again.",
    "unopened": "the database {place} cannot be opened. "
    "Check that its folder exists and that this account may use it.",
    "disk": "the disk of the database {place} cannot be read or written. "
    "Check the disk and its free space, and run again.",
    "unreachable": "the database {place} cannot be reached or refuses the login. "
    "Check data.database and that the server runs.",
}
_UNKNOWN = (
    "the database {place} failed ({kind}). Nothing of this step was kept. "
    "Run it again; if it fails again, report the kind of error and the version."
)

_SQLITE_MEANINGS = {
    "FULL": "full",
    "BUSY": "locked",
    "LOCKED": "locked",
    "READONLY": "read-only",
    "PERM": "read-only",
    "CORRUPT": "damaged",
    "NOTADB": "damaged",
    "CANTOPEN": "unopened",
    "IOERR": "disk",
}
# Beginnings of SQLSTATE codes, PostgreSQL documentation, appendix A.
_POSTGRESQL_MEANINGS = {
    "53100": "full",
    "55P03": "locked",
    "40": "locked",
    "25006": "read-only",
    "42501": "read-only",
    "XX00": "damaged",
    "53300": "unreachable",
    "57P": "unreachable",
    "08": "unreachable",
    "28": "unreachable",
    "3D": "unreachable",
    "58": "disk",
}


def explain(error: Exception, place: str, *, call_id: str | None = None) -> StoreError:
    """What ``error`` means to a user, without its message, which may quote what was stored."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    kind = type(cause).__name__
    message = _MEANINGS.get(_meaning(cause), _UNKNOWN).format(place=place, kind=kind)
    prefix = f"call {call_id}: " if call_id else ""
    return StoreError(prefix + message, call_id=call_id, kind=kind)


def _meaning(cause: BaseException) -> str:
    if isinstance(cause, sqlite3.Error):
        # Extended names look like SQLITE_IOERR_WRITE: the second part is the primary code.
        name = getattr(cause, "sqlite_errorname", None) or ""
        return _SQLITE_MEANINGS.get(name.split("_")[1] if "_" in name else "", "")
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state is None and type(cause).__name__ == "OperationalError":
        return "unreachable"
    return next(
        (
            meaning
            for beginning, meaning in _POSTGRESQL_MEANINGS.items()
            if str(state).startswith(beginning)
        ),
        "",
    )
