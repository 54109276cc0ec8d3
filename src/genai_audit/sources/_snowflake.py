"""The door to Snowflake: one account, read only, rows in batches. The driver is an optional extra.

The driver repeats requests by itself, within `login_timeout` and `network_timeout`. Its telemetry and its
search for a cloud it might run in are switched off. No message of the service is passed on: it may quote a
query or a name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from genai_audit.errors import ConfigurationError, SourceUnavailableError
from genai_audit.settings import SourceOptions
from genai_audit.sources._addresses import check_https
from genai_audit.sources._private_files import read_private
from genai_audit.sources._sql_parts import AbsentTableError

Row = dict[str, Any]

NOT_VISIBLE = (2003, 2043, 3001)  # no such object, or not authorised
NOT_CHOSEN = (606, 390201, 90105)  # no warehouse, or no database, that this account may use


class SnowflakeOptions(SourceOptions):
    """How one account is reached."""

    account: str = ""  # the xxxxx of xxxxx.snowflakecomputing.com
    user: str = "SVC_BLACKBOARD_DATA"  # the service user; it must be enabled (facts/vle.md §1.2)
    password_path: Path | None = None  # a file of mode 0600; this password expires
    private_key_path: Path | None = None  # instead of a password: PEM without a pass phrase, mode 0600
    role: str = ""
    warehouse: str = "BLACKBOARD_DATA_WH"
    database: str = ""  # BLACKBOARD_DATA_xxxxx
    host: str = ""  # only if it is not <account>.snowflakecomputing.com
    port: int = Field(443, ge=1, le=65_535)
    protocol: Literal["https", "http"] = "https"  # http only to this machine
    batch_rows: int = Field(2_000, ge=1, le=100_000)  # rows in memory at a time


class Snowflake:
    """One session; use as a context manager. `name`: how people call the service that lies behind it."""

    def __init__(self, name: str, options: SnowflakeOptions, section: str) -> None:
        self._name, self._batch_rows = name, options.batch_rows
        self._driver = load_driver()
        host = options.host or f"{options.account}.snowflakecomputing.com"
        check_https(name, f"{options.protocol}://{host}")
        seconds = int(options.request_timeout_seconds)
        parameters = {
            "TIMEZONE": "UTC", "QUERY_TAG": "genai-audit", "CLIENT_TELEMETRY_ENABLED": False,
            "STATEMENT_TIMEOUT_IN_SECONDS": int(options.deadline_minutes * 60) or 1,
        }  # fmt: skip
        try:
            self._connection = self._driver.connect(
                account=options.account, user=options.user, host=host, port=options.port,
                protocol=options.protocol, warehouse=options.warehouse or None, role=options.role or None,
                database=options.database, session_parameters=parameters, login_timeout=seconds,
                network_timeout=seconds, socket_timeout=seconds, platform_detection_timeout_seconds=0,
                client_prefetch_threads=1, **read_credential(options, section),
            )  # fmt: skip
        except self._driver.errors.Error as error:
            raise self._explain_connecting(error, section) from None
        self._disable_telemetry()

    def __enter__(self) -> Snowflake:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[list[Row]]:
        """Batches of rows by column name in capitals.

        Raises AbsentTableError, ConfigurationError or SourceUnavailableError.
        """
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, values)
            names = [str(column[0]).upper() for column in cursor.description]
            while batch := cursor.fetchmany(self._batch_rows):
                yield [dict(zip(names, row, strict=True)) for row in batch]
        except self._driver.errors.Error as error:
            raise self._explain_query(error) from None
        finally:
            cursor.close()

    def _disable_telemetry(self) -> None:
        if hasattr(self._connection, "telemetry_enabled"):
            self._connection.telemetry_enabled = False

    def _explain_connecting(self, error: Exception, section: str) -> Exception:
        network = (self._driver.errors.OperationalError, self._driver.errors.InterfaceError)
        is_refused = isinstance(error, self._driver.errors.DatabaseError) and not isinstance(error, network)
        if is_refused:
            return ConfigurationError(
                f"{self._name} refused the sign-in ({read_number(error)}).",
                where=f"[{section}] account, user, password_path or private_key_path",
                next_step="The service user's password expires: set a new one, and see that it is enabled.",
            )
        return SourceUnavailableError(
            f"{self._name} can't be reached ({type(error).__name__} {read_number(error)}).",
            where=f"[{section}] account",
            next_step="Check the account's name and the way out of this network, then run again.",
        )

    def _explain_query(self, error: Exception) -> Exception:
        number = read_number(error)
        if number in NOT_VISIBLE:
            return AbsentTableError(
                f"{self._name} has no such table for this account ({number}).",
                where=self._name,
                next_step="Ask its vendor which tables the licence holds.",
            )
        if number in NOT_CHOSEN:
            return ConfigurationError(
                f"{self._name} has no such warehouse or database for this account ({number}).",
                where="warehouse and database of the source's section",
                next_step="Name those that came with the account.",
            )
        return SourceUnavailableError(
            f"{self._name} broke off a query ({type(error).__name__} {number}).",
            where=self._name,
            next_step="Run again; if this repeats, raise deadline_minutes or ask the vendor.",
        )


def load_driver() -> Any:
    """The connector's module, or ConfigurationError."""
    try:
        return importlib.import_module("snowflake.connector")
    except ImportError:
        raise ConfigurationError(
            "The Snowflake driver is not installed, or is of another major version.",
            where="the Python environment",
            next_step='Run `pip install "genai-audit[illuminate]"`.',
        ) from None


def read_credential(options: SnowflakeOptions, section: str) -> dict[str, Any]:
    """What the driver wants: `password`, or `private_key` as DER. Raises ConfigurationError."""
    if options.private_key_path is None:
        content = read_private(options.password_path, f"{section}.password_path")
        return {"password": content.decode("utf-8", "replace").rstrip("\r\n")}
    from cryptography.hazmat.primitives import serialization

    content = read_private(options.private_key_path, f"{section}.private_key_path")
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise ConfigurationError(
            "The private key is not PEM, or needs a pass phrase.",
            where=f"{section}.private_key_path",
            next_step="Give a PKCS 8 file in PEM, without a pass phrase, mode 0600.",
        ) from None
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"private_key": der}


def read_number(error: Exception) -> int:
    """The service's error number; 0 if it gave none."""
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and number > 0 else 0
