"""Runs `expectations/<table>.json` as SQL inside DuckDB; each check becomes one row of `fct_quality`.

A suite is a Great Expectations suite as it is. Two kinds of parameter may stand in it:

- `{"$PARAMETER": "latest_day"}` for a value: tomorrow, ISO (clocks of devices may be a little ahead).
- in the text of an `unexpected_rows_query`: `$checked_at`, the instant of the check in UTC, to be put in
  quotes; `$documented_lags`, a table `documented(source, lag_hours)` from the sources' own `lag`.

No value of a row gets into a result: only counts of rows and shares. A check that can't be computed counts as
failed; a check whose table is missing is NOT_EVALUATED. `great_expectations` is imported in the functions,
since that takes seconds and 270 MB (facts/tech.md §4.3).
"""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

from genai_audit import registry, workspace
from genai_audit.errors import BadDataError, SoftwareError

PASSED, FAILED, NOT_EVALUATED = "passed", "failed", "NOT_EVALUATED"
ROW_LIMIT = 1000  # every unexpected_rows_query ends in LIMIT 1000: its rows are fetched, so they are bounded
QUERY = "unexpected_rows_query"
# Of these, `observed_value` is a count of rows; of all others it may be a value from the data.
COUNTING = frozenset({"unexpected_rows_expectation", "expect_table_row_count_to_equal"})


@dataclass(frozen=True)
class QualityResult:
    """One row of `fct_quality`. `observed` and `failed_count` hold counts and shares, never a value."""

    run_id: str
    checked_at: datetime
    table_name: str
    check_name: str
    column_name: str | None
    severity: str  # critical: stops publishing · warning: is reported
    status: str  # passed | failed | NOT_EVALUATED
    observed: str | None
    failed_count: int | None
    note: str

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def load_library() -> None:
    """Import Great Expectations in a spare moment: it takes seconds that the first check would wait."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401


def check_tables(
    warehouse_file: Path,
    run_id: str,
    checked_at: datetime,
    *,
    suites: Path | None = None,
    lags: Mapping[str, timedelta] | None = None,
) -> list[QualityResult]:
    """Check every table that has a suite, in the order of file names and of checks in a file.

    `checked_at` is timezone-aware. `suites`: a folder, the shipped one if None. `lags`: documented delay by
    source, those of the sources' leaves if None. The file is opened read-only and closed again; nobody may
    have it open for writing. Raises BadDataError if it can't be opened, SoftwareError for a broken suite.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import; nothing may leave this machine
    if lags is None:
        lags = {name: source.lag for name, source in registry.sources().items()}
    folder = suites if suites is not None else workspace.shipped("expectations")
    words = _words(checked_at, lags)
    results: list[QualityResult] = []
    tables = _list_tables(warehouse_file)
    with _silence(), _open(warehouse_file) as source:
        for file in sorted(folder.glob("*.json")):
            suite = _read_suite(file, words)
            outcomes = _validate(source, suite, checked_at) if file.stem in tables else {}
            for expectation in suite["expectations"]:
                result = _judge(expectation, outcomes, file.stem in tables)
                results.append(QualityResult(run_id, checked_at, file.stem, **result))
    return results


def critical_failures(results: Sequence[QualityResult]) -> list[QualityResult]:
    """Those that stop publishing."""
    return [one for one in results if one.status == FAILED and one.severity == "critical"]


def _words(checked_at: datetime, lags: Mapping[str, timedelta]) -> dict[str, str]:
    """What a query's `$name` stands for. A source's id is the name of a Python file: it needs no quoting."""
    rows = ", ".join(f"('{name}', {int(lag.total_seconds() // 3600)})" for name, lag in sorted(lags.items()))
    return {
        "checked_at": checked_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "documented_lags": f"(VALUES {rows or '(NULL, NULL)'}) AS documented(source, lag_hours)",
    }


def _read_suite(file: Path, words: Mapping[str, str]) -> dict[str, Any]:
    try:
        suite: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for expectation in suite["expectations"]:
            arguments = expectation["kwargs"]
            if QUERY in arguments:
                arguments[QUERY] = Template(arguments[QUERY]).substitute(words)
    except (ValueError, KeyError, TypeError) as error:
        raise SoftwareError(
            f"A suite of checks can't be read: {error!r}.",
            where=f"expectations/{file.name}",
            next_step="Compare it with another suite; `$` in a query is written `$$`.",
        ) from error
    return suite


@contextmanager
def _silence() -> Iterator[None]:
    """Great Expectations logs SQL errors, which can quote a value of a row: results say what went wrong."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _list_tables(warehouse_file: Path) -> set[str]:
    import sqlalchemy

    from genai_audit import duckdb_dialect

    engine = sqlalchemy.create_engine(
        duckdb_dialect.url(warehouse_file), connect_args=duckdb_dialect.READ_ONLY
    )
    try:
        inspector = sqlalchemy.inspect(engine)
        return {*inspector.get_table_names(), *inspector.get_view_names()}
    except sqlalchemy.exc.DBAPIError as error:
        raise BadDataError(
            f"The warehouse can't be opened to check it: {type(error.orig).__name__}.",
            where=warehouse_file.name,
            next_step="See that no other program has it open; `genai-audit rebuild` makes it again.",
        ) from None
    finally:
        engine.dispose()


@contextmanager
def _open(warehouse_file: Path) -> Iterator[Any]:
    """Great Expectations' data source on the file; read-only, and closed afterwards."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from genai_audit import duckdb_dialect

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # It would write its whole configuration as YAML at every new asset, into nothing: a fifth of the time.
    context.variables.save = lambda: None
    data_sources: Any = context.data_sources  # its methods are made at run time
    source = data_sources.add_sql(
        "warehouse",
        connection_string=str(duckdb_dialect.url(warehouse_file)),
        create_temp_table=False,
        kwargs={"connect_args": duckdb_dialect.READ_ONLY},
    )
    try:
        yield source
    finally:  # two engines: one for assets, one for metrics; each holds the file
        source.get_engine().dispose()
        source.get_execution_engine().close()


def _validate(source: Any, suite: Mapping[str, Any], checked_at: datetime) -> dict[str, Any]:
    """Great Expectations' results by name of check; it returns them in another order than the suite."""
    import great_expectations as gx

    table = suite["name"]
    asset = source.add_table_asset(table, table_name=table, schema_name="main")
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    outcome = batch.validate(
        gx.ExpectationSuite(**suite),
        expectation_parameters={"latest_day": f"{checked_at.astimezone(UTC) + timedelta(days=1):%Y-%m-%d}"},
        result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
    )
    return {one.expectation_config.meta["check"]: one for one in outcome.results}


def _judge(expectation: Mapping[str, Any], outcomes: Mapping[str, Any], is_there: bool) -> dict[str, Any]:
    """Everything of a QualityResult that does not depend on run and table."""
    meta = expectation["meta"]
    judged = {
        "check_name": meta["check"],
        "column_name": expectation["kwargs"].get("column"),
        "severity": expectation["severity"],
        "status": NOT_EVALUATED,
        "observed": None,
        "failed_count": None,
        "note": meta["notes"],
    }
    if not is_there:
        return judged | {"note": "The table is missing."}
    outcome = outcomes.get(meta["check"])
    errors = _exceptions(outcome)
    if outcome is None or errors:
        note = f"The check itself could not be computed ({', '.join(errors)}). {meta['notes']}"
        return judged | {"status": FAILED, "observed": "not computed", "note": note}
    observed, failed_count = _count(expectation["type"], outcome.result)
    status = PASSED if outcome.success else FAILED
    return judged | {"status": status, "observed": observed, "failed_count": failed_count}


def _exceptions(outcome: Any) -> list[str]:
    """Names of the exceptions behind a result; their messages can quote a value.

    `exception_info` is flat when all is well, and keyed by metric when not (facts/tech.md §4.3).
    """
    if outcome is None:
        return ["no result"]
    info = outcome.exception_info or {}
    parts = [info, *(part for part in info.values() if isinstance(part, dict))]
    traces = [str(part.get("exception_traceback")) for part in parts if part.get("raised_exception")]
    names = (re.findall(r"^[\w.]*?(\w+(?:Error|Exception)):", trace, flags=re.MULTILINE) for trace in traces)
    return sorted({found[0] if found else "unknown error" for found in names})


def _count(kind: str, result: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """What may be told of a result: how many rows, of how many, in percent."""
    if kind in COUNTING and result.get("observed_value") is not None:
        rows = int(result["observed_value"])
        return (f"{rows:,} rows or more" if rows == ROW_LIMIT else f"{rows:,} rows"), rows
    if result.get("unexpected_count") is None or result.get("element_count") is None:
        return None, None
    failed, total = int(result["unexpected_count"]), int(result["element_count"])
    share = f" ({100 * failed / total:.2f} %)" if total else ""
    return f"{failed:,} of {total:,} rows{share}", failed
