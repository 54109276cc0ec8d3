"""The register of VLE features: what is listed is found, what looks like AI is kept, mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from genai_audit.errors import ConfigurationError
from genai_audit.sources._vle_features import looks_like_ai, name_unlisted, read_features, shipped_features

HEADER = "match_kind,pattern,feature,tool,status,note\n"


@pytest.mark.parametrize(
    ("kind", "value", "feature"),
    [
        ("object_id", "ai.chat.chat.controls.send", "AI Conversation: message sent"),
        ("object_id", "course.outline.create.AiConversation", "AI Conversation: set up by an instructor"),
        ("object_id", "AI.chat.chat.controls.send", None),  # ids are told apart by their letters' case
        ("object_id", "", None),
        ("domain", "https://App.LearnWise.AI:443/lti?x=1", "LearnWise: opened"),
        ("domain", "learnwise.ai", "LearnWise: opened"),
        ("domain", "https://learnwise.ai.evil.example/", None),
        ("domain", "https://notlearnwise.ai/", None),
        ("domain", "https://[broken", None),
        ("name", "My LEARNWISE tutor", "LearnWise: opened"),
        ("name", "Learning wisely", None),
    ],
)
def test_the_shipped_register(kind: str, value: str, feature: str | None) -> None:
    found = shipped_features().find(kind, value)
    assert (found.feature if found else None) == feature


def test_the_first_line_that_fits_counts_and_excel_may_have_saved_it(tmp_path: Path) -> None:
    text = HEADER + "object_id,ai.x.*,First,T,pilot,\n\n" + '"object_id",ai.*,"Second, and last",,unknown,\n'
    (tmp_path / "vle_features.csv").write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    features = read_features(tmp_path)
    found = [features.find("object_id", one) for one in ("ai.x.y", "ai.y", "bi.y")]
    assert [one.feature if one else None for one in found] == ["First", "Second, and last", None]
    assert features.patterns("object_id") == ("ai.x.*", "ai.*")
    assert read_features(tmp_path / "elsewhere") == shipped_features()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + "objekt_id,ai.x,F,,unknown,\n", "line 2, column match_kind"),
        (HEADER + "name,,F,,unknown,\n", "line 2, column pattern"),
        ("match_kind,patern,feature,tool,status,note\n", "did you mean 'pattern'"),
        (HEADER + "name,a,F,,unknown,\nname,A,G,,unknown,\n", "repeats line 2"),
    ],
)
def test_a_mistake_refuses_the_register(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "vle_features.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        read_features(tmp_path)


@pytest.mark.parametrize(
    ("object_id", "name"),
    [
        ("ai.studio.open", "ai.studio.open"),
        ("https://vle.example/users/jane.doe/ai.helper?who=jane", "ai.helper"),
        ("https://vle.example/courses/HIS101/ai/jane.doe", "vle.example/ai/"),
        ("ai." + "x" * 300, "ai." + "x" * 57),
        ("ai.helper for Jane Doe who failed", "ai.helper"),
        ("Jane Doe wrote/ai/this", "jane/ai/"),
        ("https://vle.example/mail.open", None),
        ("https://vle.example/email.ai", None),
    ],
)
def test_what_looks_like_ai_is_named_without_course_or_person(object_id: str, name: str | None) -> None:
    assert looks_like_ai(object_id) == (name is not None)
    if name:
        assert name_unlisted(object_id) == f"unclassified: {name}"
