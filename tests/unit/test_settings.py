"""One settings object: every mistake is named at once, and where a value comes from is clear."""

from importlib import resources
from pathlib import Path

import pytest

from builders import make_settings, make_workspace
from genai_audit.configuration import load_settings
from genai_audit.doctor import describe_settings, examine
from genai_audit.errors import ConfigurationError
from genai_audit.settings import Settings


def load(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "genai-audit.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def test_the_starter_works_as_written_and_equals_the_defaults(tmp_path: Path) -> None:
    starter = (resources.files("genai_audit") / "starters" / "genai-audit.toml").read_text(encoding="utf-8")
    assert load(tmp_path, starter) == load_settings(tmp_path / "absent.toml")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENAI_AUDIT_M365_AUDIT__WINDOW_HOURS", "6")
    assert load(tmp_path, "[m365_audit]\nwindow_hours = 12\n").m365_audit.window_hours == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[m365_audit]\nwindow_hour = 12\n", "did you mean 'window_hours'?"),
        ("[tenent]\n", "did you mean 'tenant'?"),
        ("[m365_audit]\nwindow_hours = 0\n", "m365_audit.window_hours"),
        ("[m365_audit]\nwindow_hours = 'x'\n", "m365_audit.window_hours"),
        ("[m365_audit\n", "not valid TOML"),
        ("[tenant]\nclient_secret = 'x'\n", "tenant.client_secret"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_right_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)
    assert said in refused.value.what
    assert refused.value.exit_code == 78


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, "[m365_audit]\nwindow_hours = 0\n[limits]\nmemory = 1\n")
    assert "window_hours" in refused.value.what
    assert "limits.memory" in refused.value.what


def test_an_inline_secret_never_shows_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, "[tenant]\nclient_secret = 'hunter2-secret'\n")
    assert "hunter2" not in str(refused.value.what)


def test_the_digest_changes_with_a_value_and_only_then(tmp_path: Path) -> None:
    plain = load(tmp_path, "")
    assert load(tmp_path, "[limits]\nparse_threads = 2\n").digest() == plain.digest()
    assert load(tmp_path, "[limits]\nparse_threads = 3\n").digest() != plain.digest()


def test_a_list_in_the_environment_that_is_not_json_is_a_mistake_with_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_AUDIT_SOURCES__ENABLED", "m365_audit")
    monkeypatch.setenv("GENAI_AUDIT_SOURCES__EXPECTED", "[]")
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, "")
    assert refused.value.where == "GENAI_AUDIT_SOURCES__ENABLED"
    assert '["m365_audit"]' in refused.value.next_step
    assert "m365_audit" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@lrs.example/xAPI", "https://:hun/ter2@lrs.example", "https://x?key=hunter2"]
)
def test_a_password_in_an_address_is_found_and_never_shown(tmp_path: Path, url: str) -> None:
    workspace = make_workspace(tmp_path)
    make_settings(workspace, f"[vle_xapi]\nurl = {url!r}\n")
    shown = [line for line in describe_settings(workspace) if line.startswith("vle_xapi.url")]
    assert "https://" in shown[0]
    assert "ter2" not in shown[0]
    findings = [one for one in examine(workspace, offline=True) if one.subject == "vle_xapi"]
    assert [one.state for one in findings] == ["fix"]
    assert "without a name, password or query" in findings[0].text
    assert "ter2" not in findings[0].text


def test_an_address_without_a_secret_is_shown_whole(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    make_settings(workspace, "[vle_xapi]\nurl = 'https://lrs.example/xAPI'\n")
    assert any("'https://lrs.example/xAPI'" in line for line in describe_settings(workspace))
    assert not [one for one in examine(workspace, offline=True) if one.subject == "vle_xapi"]
