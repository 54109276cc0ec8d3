"""The house rules that a machine can check: rooms, names, budgets, no telemetry, no secrets of a machine."""

import ast
import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genai_audit import registry

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "genai_audit"
MODULES = sorted(SOURCE.rglob("*.py"))
ONLY_ROOM = {
    "prefect": ("flows/",),
    "great_expectations": ("quality.py",),
    "msgraph": ("sources/_graph.py",),
    "azure": ("sources/_graph_sign_in.py",),
    "duckdb.connect": ("warehouse.py",),
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("library", ["prefect", "great_expectations", "msgraph", "azure"])
def test_a_heavy_library_is_imported_in_one_room_only(library: str) -> None:
    places = [p for p in [*MODULES, *(ROOT / "flows").glob("*.py")] if library in imports_of(p)]
    strangers = [
        path.relative_to(ROOT).as_posix()
        for path in places
        if not path.relative_to(ROOT).as_posix().endswith(ONLY_ROOM[library]) and "flows" not in path.parts
    ]
    assert strangers == []


def test_duckdb_is_opened_in_the_warehouse_only() -> None:
    callers = [path.name for path in MODULES if "duckdb.connect(" in path.read_text(encoding="utf-8")]
    assert callers == ["warehouse.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_module_is_small_says_what_it_is_for_and_is_named_for_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says in its first lines what it is for"
    assert len(text.splitlines()) <= 300
    assert not re.search(r"utils|helpers|common|misc|manager", path.stem)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_errors_are_named_for_what_they_are() -> None:
    tree = ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert all(name.endswith("Error") for name in names)


def test_every_source_and_detection_declares_what_readers_need() -> None:
    assert {"m365_audit", "m365_files", "vle_csv"} <= set(registry.sources())
    for name in registry.sources():
        assert len(registry.docstring("sources", name)) > 200, (
            f"{name}: what does the log contain and not contain?"
        )
    for name, detection in registry.detections().items():
        assert detection.innocent_explanations, name
        assert detection.blind_spots, name
        assert len(detection.runbook) == 3, name
        assert detection.clauses, name
        words = f"{detection.title} {detection.question}".lower()
        assert not re.search(r"misuse|attack by|guilty|suspicious", words), name


def test_every_column_of_the_models_has_one_meaning() -> None:
    with (ROOT / "sql" / "columns.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["column"] for row in rows]
    assert names == sorted(set(names))
    assert all(0 < len(row["meaning"]) <= 120 for row in rows)


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda p: p.name)
def test_a_model_is_short_and_says_its_grain(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert lines[0].startswith("-- ")
    if path.parent.name in ("marts", "lide"):
        assert lines[0].startswith("-- One row per ")
    assert "{{" not in path.read_text(encoding="utf-8"), "plain SQL that can be pasted"


def test_every_model_and_staging_table_has_a_suite_with_reasons() -> None:
    suites = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "expectations").glob("*")
    }
    marts = {path.stem for path in (ROOT / "sql" / "marts").glob("*.sql")}
    texts = [path.read_text("utf-8") for path in (ROOT / "sql" / "staging").glob("*.sql")]
    staging = re.findall(r"TABLE IF NOT EXISTS (stg_\w+)", "".join(texts))
    assert marts | set(staging) == set(suites)
    for name, suite in suites.items():
        for expectation in suite["expectations"]:
            assert expectation["meta"]["notes"], name
            assert expectation["severity"] in ("critical", "warning"), name


def test_nothing_names_a_machine_or_an_index() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    for name in tracked.split():
        path = ROOT / name
        if (
            path.suffix in (".py", ".md", ".toml", ".sql", ".json", ".yaml", ".j2", ".lock")
            and path.is_file()
        ):
            text = path.read_text(encoding="utf-8")
            assert "--index" + "-url" not in text, name
            assert str(Path.home()) + "/" not in text or str(Path.home()) == "/", name
            assert f"{ROOT}/" not in text, name


def test_help_comes_in_half_a_second_and_needs_no_heavy_library() -> None:
    code = (
        "import sys; sys.argv = ['genai-audit', '--help']\n"
        "from genai_audit.cli import app\n"
        "try:\n    app()\nexcept SystemExit: pass\n"
        "heavy = {'prefect', 'great_expectations', 'msgraph', 'polars', 'duckdb'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "Exit codes" in done.stdout


def test_telemetry_is_off_before_prefect_and_great_expectations_are_imported() -> None:
    for path in [*(ROOT / "flows").glob("*.py"), SOURCE / "quality.py"]:
        text = path.read_text(encoding="utf-8")
        if "great_expectations" in text:
            assert "GX_ANALYTICS_ENABLED" in text, path.name
    from genai_audit import TELEMETRY_OFF

    assert TELEMETRY_OFF.keys() == {
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "DO_NOT_TRACK",
        "GX_ANALYTICS_ENABLED",
    }
    assert all(os.environ[name] == value for name, value in TELEMETRY_OFF.items())


def test_starting_the_command_line_is_quick() -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "genai_audit", "--help"], capture_output=True, check=True)
    assert time.monotonic() - started < 10  # the target of 0.5 s is measured by `make bench`
