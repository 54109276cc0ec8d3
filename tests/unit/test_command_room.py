"""The command line, called in this process: what is printed, which runs are written down, dry runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from builders import DAY, copilot_record, day_window, land, make_settings, make_workspace
from genai_audit import collection, pipeline, tracing
from genai_audit.cli import app
from genai_audit.cli.session import Session, note, print_error, print_result, visible
from genai_audit.demo import tour
from genai_audit.errors import BadDataError, UsageError
from genai_audit.workspace import Workspace

EVIL = "\x1b[2J\x9b31m\u202e\nx\x7f"
FORBIDDEN = ("\x1b", "\x9b", "\u202e", "\x7f")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = make_workspace(tmp_path)
    make_settings(workspace)
    return workspace


def call(workspace: Workspace, *words: str) -> Any:
    return CliRunner().invoke(app, ["--workspace", str(workspace.root), *words])


def runs(workspace: Workspace) -> list[tuple[str, str, int]]:
    found = [json.loads(path.read_bytes())["run"] for path in sorted(workspace.runs.glob("*.json"))]
    return [(one["verb"], one["outcome"], one["package_count"]) for one in found]


# What is printed


def test_visible_is_one_line_without_a_control_character() -> None:
    assert visible(EVIL) == "\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{a}x\\u{7f}"
    assert visible("café 🎓 x") == "café 🎓 x"
    assert (visible(None), visible(5)) == ("", "5")


def test_notes_errors_and_results_obey_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    note(EVIL)
    print_error(UsageError(EVIL, where=EVIL, next_step=EVIL))
    print_result(pipeline.Result("r", "complete", (EVIL,), 1, 1, 0, {"passed": 1}, ()))
    said = "".join(capsys.readouterr())
    assert not any(letter in said for letter in FORBIDDEN)
    assert len(said.splitlines()) == 4 + 4


def test_trace_shows_what_a_record_holds_without_obeying_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = land(workspace, [copilot_record()], window=day_window())
    found = tracing.Trace("interaction", EVIL, package, 1, b'{"a":"\xc2\x9b31m\x7f"}')
    monkeypatch.setattr(tracing, "trace", lambda *_: [found])
    done = call(workspace, "trace", "x", "--show-record")
    assert done.exit_code == 0
    assert "\\u{9b}31m" in done.output
    assert not any(letter in done.output for letter in FORBIDDEN)


@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",), ("--markdown",)])
def test_no_form_of_an_answer_is_obeyed_by_a_terminal(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    from genai_audit import querying

    answer = querying.Answer(["a" + EVIL], [["b" + EVIL]])
    monkeypatch.setattr(querying, "ask", lambda *_, **__: answer)
    done = call(workspace, "query", "SELECT 1", *form)
    assert done.exit_code == 0
    assert not any(letter in done.output for letter in ("\x1b", "\x9b", "\u202e"))


# Runs are written down


def write_export(folder: Path, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(copilot_record(DAY + timedelta(hours=n)) + b"\n" for n in range(3)))
    return path


def test_import_writes_a_run_and_tells_of_each_package(workspace: Workspace, tmp_path: Path) -> None:
    done = call(workspace, "import", str(write_export(tmp_path)))
    assert done.exit_code == 0
    assert "3 accepted" in done.output
    assert runs(workspace) == [("import", "complete", 1)]


def test_what_landed_before_a_refused_file_is_told_and_written_down(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    done = call(workspace, "import", str(write_export(tmp_path)), str(tmp_path / "b.csv"))
    assert isinstance(done.exception, BadDataError)
    assert "3 accepted" in done.output
    assert runs(workspace) == [("import", "failed", 1)]


def test_report_writes_a_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "report", lambda _: [Path("one.html")])
    assert call(workspace, "report").output.strip() == "Report: one.html"
    assert runs(workspace) == [("report", "complete", 0)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("Query interrupted"), "interrupted"),
        (ZeroDivisionError("secret words"), "failed"),
        (BadDataError("secret words"), "failed"),
    ],
)
def test_a_run_that_ends_early_is_written_down(
    workspace: Workspace, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), Session(workspace.root, debug=False).writing("pull"):
        raise error
    assert runs(workspace) == [("pull", outcome, 0)]
    assert "secret" not in "".join(path.read_text() for path in workspace.runs.iterdir())


def test_a_run_that_can_not_be_written_down_hides_no_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("genai_audit.runs.write_durably", fail)
    with pytest.raises(ZeroDivisionError), Session(workspace.root, debug=False).writing("pull"):
        raise ZeroDivisionError


# Dry runs and the demo


def test_the_plan_promises_no_request_where_none_is_possible(workspace: Workspace) -> None:
    settings = make_settings(workspace)
    plan = collection.describe_plan(workspace, settings, day_window(), ["m365_audit", "vle_csv"])
    assert plan == [
        "m365_audit: not configured, nothing to pull: fill tenant_id and client_id under [tenant]",
        "vle_csv: read from files, not pulled (use `genai-audit import FILE`)",
    ]
    settings = make_settings(workspace, '[tenant]\ntenant_id = "t"\nclient_id = "c"\n')
    assert "at least 3 requests" in "\n".join(
        collection.describe_plan(workspace, settings, day_window(), None)
    )


@contextmanager
def no_tenant(*_: object) -> Iterator[str]:
    raise ZeroDivisionError("the demo went on")
    yield ""


def start_demo(workspace: Workspace, people: int = 50) -> None:
    list(tour.show(workspace, people, 28, 7, None))  # type: ignore[arg-type]


def test_a_second_demo_must_be_of_the_same_university(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour, "_tenant", no_tenant)
    workspace = Workspace(tmp_path / "demo")
    with pytest.raises(ZeroDivisionError):
        start_demo(workspace)
    university = tour._make_university(50, 28, 7)
    workspace.settings_file.write_text(f"{tour._name(university)}\n{tour.SETTINGS}")
    (workspace.landing / "m365_audit").mkdir()
    with pytest.raises(ZeroDivisionError):
        start_demo(workspace)
    with pytest.raises(UsageError, match="another pretend university"):
        start_demo(workspace, people=60)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Tomorrow:
            return cls.fromtimestamp(datetime.now(UTC).timestamp() + 86_400, tz)

    monkeypatch.setattr(tour, "datetime", Tomorrow)
    with pytest.raises(UsageError, match="another day"):
        start_demo(workspace)


def test_the_demo_says_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "demo")
    done = call(workspace, "demo", "--dry-run", "--people", "60", "--days", "30")
    assert done.exit_code == 0
    assert "60 people and 30 days" in done.output
    assert not workspace.root.exists()
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    assert "rm -rf workspace-demo\n\t$(BIN)/genai-audit --workspace workspace-demo demo\n" in makefile
