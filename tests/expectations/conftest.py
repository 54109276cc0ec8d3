"""One clean warehouse a session; each test breaks its own copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from genai_audit import quality
from genai_audit.quality import QualityResult

SUITES = Path(__file__).parents[2] / "expectations"
LAGS = {"m365_audit": timedelta(days=3), "vle_csv": timedelta(days=1)}


@pytest.fixture(scope="session")
def checked_at() -> datetime:
    return datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def clean_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clean") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        for sql in sorted(Path(__file__).parent.glob("clean_*.sql"), reverse=True):  # the common one first
            connection.execute(sql.read_text(encoding="utf-8"))
    return file


@pytest.fixture
def check(clean_file: Path, checked_at: datetime, tmp_path: Path) -> Callable[..., list[QualityResult]]:
    """`check(sql, *tables)`: results of these suites after `sql` has changed a copy of the warehouse."""

    def run(sql: str, *tables: str, at: datetime = checked_at) -> list[QualityResult]:
        file = tmp_path / "warehouse.duckdb"
        shutil.copyfile(clean_file, file)
        with duckdb.connect(str(file)) as connection:
            connection.execute(sql)
        suites = tmp_path / "suites"
        suites.mkdir()
        for table in tables or [found.stem for found in SUITES.glob("*.json")]:
            shutil.copyfile(SUITES / f"{table}.json", suites / f"{table}.json")
        return quality.check_tables(file, "run-2", at, suites=suites, lags=LAGS)

    return run


@pytest.fixture
def clean_tables(clean_file: Path) -> list[str]:
    with duckdb.connect(str(clean_file), read_only=True) as connection:
        found = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    return [row[0] for row in found]
