"""The wheel is whole: an installed copy works in an empty folder, far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("sql", "expectations", "reports")


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel; its other packages are those of the environment of the tests."""

    wheel: Path
    bin: Path
    folder: Path  # empty, to work in

    def call(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GENAI_AUDIT_")}
        kept.pop("PYTHONPATH", None)
        return subprocess.run(
            [str(self.bin / program), *words],
            cwd=self.folder,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    _call([*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    _call([*pip, "--python", str(python), "install", *offline, str(wheel)])
    # A path from a .pth file is searched, but its own .pth files are not read: the checkout, which is linked
    # into the tests' environment by one, stays out.
    (site_packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    (folder / "empty").mkdir()
    return Installed(wheel, python.parent, folder / "empty")


def _call(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_every_file_that_the_checkout_reads(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    wanted = {
        f"genai_audit/_shipped/{path.relative_to(ROOT).as_posix()}"
        for room in SHIPPED
        for path in (ROOT / room).rglob("*")
        if path.is_file()
    }
    package = ROOT / "src"
    wanted |= {
        path.relative_to(package).as_posix()
        for path in (package / "genai_audit").rglob("*")
        if path.is_file() and path.suffix in (".py", ".toml", ".csv")
    }
    assert sorted(wanted - names) == []
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_an_installed_copy_reads_its_own_files(installed: Installed) -> None:
    code = (
        f"import genai_audit.workspace as w\nfor room in {SHIPPED}: print(w.shipped(room))\nprint(w.__file__)"
    )
    done = installed.call("python", "-c", code)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_relative_to(installed.bin.parent)
        assert Path(line).exists()


def test_an_installed_copy_makes_a_workspace_and_lists_its_questions(installed: Installed) -> None:
    assert installed.call("genai-audit", "--workspace", "small", "init").returncode == 0
    assert "microsoft_copilot" in (installed.folder / "small/registers/tools.csv").read_text(encoding="utf-8")
    listed = installed.call("genai-audit", "query", "--csv")
    assert listed.returncode == 0, listed.stderr
    questions = {path.stem for path in (ROOT / "sql" / "adhoc").glob("*.sql")}
    assert len(listed.stdout.splitlines()) == len(questions) + 1
    assert all(question in listed.stdout for question in questions)


@pytest.mark.slow
def test_an_installed_copy_shows_the_demo_in_an_empty_folder(installed: Installed) -> None:
    done = installed.call("genai-audit", "demo", "--people", "200", "--days", "35")
    assert done.returncode == 0, done.stderr
    assert "Planted and found: 8 of 8." in done.stdout
    for report in ("compliance_audit", "vle_usage", "iss_operations"):
        assert (installed.folder / "workspace" / "reports" / f"{report}.html").is_file()
