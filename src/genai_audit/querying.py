"""Ad hoc and saved SQL against a published file, in a child process with limits.

Read-only and locked configuration keep files and network out; time and memory limits need a process that can
be killed: `repeat('x', 2e9)` and `sleep_ms` outlive DuckDB's own limits (facts/trust.md §8.4).
"""

from __future__ import annotations

import json
import math
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_audit.errors import BadDataError, UsageError
from genai_audit.workspace import shipped

HEADER = re.compile(r"^-- (title|asked by|param): (.+)$", re.MULTILINE)
INTERPRETER_MB = 1_500  # address space of Python and DuckDB besides what the query may use


@dataclass(frozen=True)
class Question:
    """A saved question. `params` are its names and default values; SQL refers to them as `$name`."""

    name: str
    title: str
    asked_by: str
    params: Mapping[str, str]
    sql: str


@dataclass(frozen=True)
class Answer:
    columns: list[str]
    rows: list[list[Any]]


def saved_questions() -> dict[str, Question]:
    return {path.stem: _read_question(path) for path in sorted((shipped("sql") / "adhoc").glob("*.sql"))}


def _read_question(path: Path) -> Question:
    sql = path.read_text(encoding="utf-8")
    fields: dict[str, list[str]] = {"title": [], "asked by": [], "param": []}
    for key, value in HEADER.findall(sql):
        fields[key].append(value.strip())
    params = dict(param.split("=", 1) for param in fields["param"])
    return Question(path.stem, fields["title"][0], fields["asked by"][0], params, sql)


def ask(
    file: Path, sql: str, params: Mapping[str, str], *, seconds: int, memory_mb: int, name: str = "query"
) -> Answer:
    """Run one statement in a child process. Raises UsageError for wrong SQL, BadDataError past a limit."""
    if not file.exists():
        raise UsageError(
            f"{file.name} is not published yet.", where="published/", next_step="Run `genai-audit run` first."
        )
    order = {"sql": sql, "params": dict(params), "seconds": seconds, "memory_mb": memory_mb}
    command = [sys.executable, "-m", "genai_audit.querying", str(file)]
    try:
        child = subprocess.run(
            command, input=json.dumps(order), capture_output=True, text=True, timeout=seconds + 5, check=False
        )
    except subprocess.TimeoutExpired:
        raise _limit(name, f"took longer than {seconds} seconds") from None
    if child.returncode != 0 or not child.stdout:
        raise _limit(name, "used more time or memory than it may")
    answer = json.loads(child.stdout)
    if "limit" in answer:
        raise _limit(name, answer["limit"])
    if "error" in answer:
        raise UsageError(
            f"The query was refused: {answer['error']}",
            where=name,
            next_step="`FROM start_here` lists the tables; only reading is allowed.",
        )
    return Answer(answer["columns"], answer["rows"])


def _limit(name: str, what: str) -> BadDataError:
    return BadDataError(
        f"The query {what} and was stopped.",
        where=name,
        next_step="Ask for fewer rows or days, or raise query_seconds or query_memory_mb under [limits].",
    )


def _answer(file: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """The child's work: limits on itself first, then one statement on the locked-down file."""
    import duckdb

    from genai_audit.warehouse import open_published

    space = (order["memory_mb"] + INTERPRETER_MB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (order["seconds"] + 2, order["seconds"] + 2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = open_published(file, order["memory_mb"], order["seconds"])
    try:
        statements = duckdb.extract_statements(order["sql"])
        if len(statements) != 1:
            return {"error": f"{len(statements)} statements; ask one question at a time."}
        # A parameter that the statement does not use would be an error of DuckDB's.
        params = {key: value for key, value in order["params"].items() if f"${key}" in order["sql"]}
        result = connection.execute(order["sql"], params or None)
        columns = _tell_apart([column[0] for column in result.description or []])
        return {"columns": columns, "rows": [[_finite(cell) for cell in row] for row in result.fetchall()]}
    except duckdb.InterruptException:
        return {"limit": f"took longer than {order['seconds']} seconds"}
    except (duckdb.OutOfMemoryException, MemoryError):
        return {"limit": f"needed more than {order['memory_mb']} MB"}
    except duckdb.Error as error:
        return {"error": str(error).splitlines()[0]}
    finally:
        connection.close()


def _tell_apart(names: list[str]) -> list[str]:
    """Two columns of one name would become one in JSON: the second is called `name_2`."""
    return [
        name if name not in names[:place] else f"{name}_{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _finite(cell: Any) -> Any:
    """JSON knows no infinity and no NaN: they stay readable as words."""
    return str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell


if __name__ == "__main__":
    print(json.dumps(_answer(Path(sys.argv[1]), json.load(sys.stdin)), default=str))
