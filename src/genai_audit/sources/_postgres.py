"""The door to a PostgreSQL replica: read only, encrypted, bounded in time. The driver is an optional extra.

No message of the server is passed on: it may quote a value. Blackboard lets in only the addresses that it was
told (facts/vle.md §1.4).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from genai_audit.errors import ConfigurationError, SourceUnavailableError
from genai_audit.settings import SourceOptions
from genai_audit.sources._addresses import LOOPBACK
from genai_audit.sources._patience import Patience, TransientError
from genai_audit.sources._private_files import read_private
from genai_audit.sources._sql_parts import AbsentTableError

Row = dict[str, Any]

NOT_VISIBLE = ("42P01", "42501", "42703", "3F000")  # no such table, no right, no such column, no such schema
TOO_SLOW, READ_TOO_LONG = "57014", "40001"
REFUSED = re.compile(
    r"authentication failed|pg_hba\.conf|role \".*\" does not exist|no password supplied", re.S
)
NO_DATABASE = re.compile(r"database \".*\" does not exist", re.S)
NO_TRUST = re.compile(r"certificate|SSL error|does not support SSL|root\.crt", re.I)


class PostgresOptions(SourceOptions):
    """How one database is reached."""

    host: str = ""  # an absolute path stands for a Unix socket of this machine
    port: int = Field(5432, ge=1, le=65_535)
    database: str = ""
    user: str = ""
    password_path: Path | None = None  # a file of mode 0600
    ca_bundle: Path | None = None  # the vendor's authorities: the server's name is then checked too
    batch_rows: int = Field(2_000, ge=1, le=100_000)  # rows in memory at a time


class Postgres:
    """One session; use as a context manager. `name`: how people call the database."""

    def __init__(self, name: str, options: PostgresOptions, section: str) -> None:
        self._name, self._batch_rows = name, options.batch_rows
        self._driver = load_driver()
        self._given = describe_connection(options, section)
        self.patience = Patience(options)
        self._section = section
        self._connection = self.patience.persist_blocking(self._connect)

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[list[Row]]:
        """Batches of rows by column name, in a read-only transaction of its own.

        Raises AbsentTableError or SourceUnavailableError.
        """
        try:
            with self._connection.transaction(), self._connection.cursor(name="genai_audit") as cursor:
                cursor.execute(sql, values)
                names = [str(column[0]) for column in cursor.description]
                while batch := cursor.fetchmany(self._batch_rows):
                    yield [dict(zip(names, row, strict=True)) for row in batch]
        except self._driver.Error as error:
            raise self._explain_query(error) from None

    def _connect(self) -> Any:
        try:
            return self._driver.connect(**self._given)
        except self._driver.Error as error:
            text = str(error)
            if REFUSED.search(text):
                raise self._misconfigured(
                    "refused the sign-in", "user or password_path",
                    "Check the account; ask the vendor whether this machine's address is let in.",
                ) from None  # fmt: skip
            if NO_DATABASE.search(text):
                raise self._misconfigured("is not there", "database", "Give the database's name.") from None
            if NO_TRUST.search(text):
                raise self._misconfigured(
                    "could not prove who it is, or speaks without encryption", "host or ca_bundle",
                    "Put the vendor's certificate authorities into a file and name it in ca_bundle.",
                ) from None  # fmt: skip
            raise TransientError(f"the connection failed ({type(error).__name__})") from None

    def _misconfigured(self, what: str, keys: str, next_step: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._name} {what}.", where=f"[{self._section}] {keys}", next_step=next_step
        )

    def _explain_query(self, error: Exception) -> SourceUnavailableError:
        state = getattr(error, "sqlstate", None) or ""
        if state in NOT_VISIBLE:
            return AbsentTableError(
                f"{self._name} has no such table for this account ({state}).",
                where=self._name,
                next_step="Ask the vendor which tables the account may read.",
            )
        why = {TOO_SLOW: "it took too long", READ_TOO_LONG: "the replica had to go on"}.get(state, "")
        return SourceUnavailableError(
            f"{self._name} broke off a query: {why or f'{type(error).__name__} {state}'.strip()}.",
            where=self._name,
            next_step="Run again; if this repeats, raise deadline_minutes.",
        )


def describe_connection(options: PostgresOptions, section: str) -> dict[str, Any]:
    """What the driver is told. Encrypted always but to this machine. Raises ConfigurationError."""
    is_here = options.host.startswith("/") or options.host in LOOPBACK
    milliseconds = int(options.deadline_minutes * 60_000)
    # A replica of the primary is read only by nature; this session would be on any server.
    session = f"-c default_transaction_read_only=on -c statement_timeout={milliseconds} -c timezone=UTC"
    given: dict[str, Any] = {
        "host": options.host, "port": options.port, "dbname": options.database, "user": options.user,
        "sslmode": "prefer" if is_here else "verify-full" if options.ca_bundle else "require",
        "connect_timeout": int(options.request_timeout_seconds), "options": session,
        "application_name": "genai-audit", "autocommit": True,
    }  # fmt: skip
    if options.password_path or not is_here:
        password = read_private(options.password_path, f"{section}.password_path")
        given["password"] = password.decode("utf-8", "replace").rstrip("\r\n")
    if options.ca_bundle:
        given["sslrootcert"] = str(options.ca_bundle)
    return given


def quote(*names: str) -> str:
    """A dotted SQL identifier."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def load_driver() -> Any:
    """The driver's module, or ConfigurationError."""
    try:
        return importlib.import_module("psycopg")
    except ImportError:
        raise ConfigurationError(
            "The PostgreSQL driver is not installed.",
            where="the Python environment",
            next_step='Run `pip install "genai-audit[dda]"`.',
        ) from None
