"""Database drivers that answer from a script: what a test says a statement returns, or how it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

Rows = Sequence[Mapping[str, Any]]


class ServerError(Exception):
    """As both drivers' are: a number (Snowflake) or a state (PostgreSQL), and a text that is secret."""

    def __init__(self, text: str = "Secret text", errno: int = 0, sqlstate: str = "") -> None:
        super().__init__(text)
        self.errno, self.sqlstate = errno, sqlstate


class DatabaseError(ServerError):
    pass


class OperationalError(DatabaseError):
    pass


class InterfaceError(ServerError):
    pass


ERRORS = SimpleNamespace(
    Error=ServerError, DatabaseError=DatabaseError, OperationalError=OperationalError,
    InterfaceError=InterfaceError,
)  # fmt: skip


class FakeDriver:
    """`answers`: a piece of a statement -> its rows, or an error that it meets; the first piece that occurs
    in the statement decides, and no rows are the answer to all others. `breaks`: a piece of the statement
    that breaks off with the error `broken`, and after how many rows. `refusals`: errors of the first attempts
    to connect."""

    Error, errors = ServerError, ERRORS

    def __init__(self, answers: Mapping[str, Rows | Exception] | None = None) -> None:
        self.answers = dict(answers or {})
        self.refusals: list[Exception] = []
        self.breaks: tuple[str, int] | None = None
        self.broken: Exception = OperationalError(errno=250003, sqlstate="08006")
        self.given: dict[str, Any] = {}
        self.statements: list[tuple[str, Any]] = []
        self.open_count = 0
        self.telemetry_enabled = True

    def connect(self, **given: Any) -> FakeDriver:
        self.given = given
        if self.refusals:
            raise self.refusals.pop(0)
        self.open_count += 1
        return self

    def close(self) -> None:
        self.open_count -= 1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def cursor(self, name: str = "") -> FakeCursor:
        return FakeCursor(self)


class FakeCursor:
    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver
        self._rows: list[Mapping[str, Any]] = []
        self._sent = 0
        self._statement = ""
        self.description: list[tuple[str]] = []

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._rows = []

    def execute(self, statement: str, values: Any = None) -> None:
        self._driver.statements.append((statement, values))
        self._statement = statement
        found = next((rows for piece, rows in self._driver.answers.items() if piece in statement), [])
        if isinstance(found, Exception):
            raise found
        self._rows = list(found)
        self.description = [(name,) for name in self._rows[0]] if self._rows else []

    def fetchmany(self, count: int) -> list[tuple[Any, ...]]:
        breaks = self._driver.breaks
        if breaks and breaks[0] in self._statement and self._sent >= breaks[1] and self._rows:
            raise self._driver.broken
        batch, self._rows = self._rows[:count], self._rows[count:]
        self._sent += len(batch)
        return [tuple(row.values()) for row in batch]


def at(*parts: int) -> datetime:
    """As a driver gives it: without a zone."""
    return datetime(*parts)  # type: ignore[arg-type,misc]  # noqa: DTZ001
