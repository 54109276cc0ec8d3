"""How values are said, and how drawings are cleaned."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from genai_audit.errors import SoftwareError
from genai_audit.reporting import charts, wording
from genai_audit.reporting.passports import read_passport


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no data"), ("", "no data"), (True, "yes"), (False, "no"), (0, "0"), (12345, "12,345"),
        (4.0, "4"), (4.25, "4.2"), (Decimal("1234.5"), "1,234.5"), (date(2026, 11, 2), "2 November 2026"),
        (datetime(2026, 11, 22, 9, 5, tzinfo=UTC), "22 November 2026, 09:05 UTC"),
        ("a\nb", "a b"), ("a\x00b", "a‹U+0000›b"),
    ],
)  # fmt: skip
def test_values_are_said(value: object, said: str) -> None:
    assert wording.say(value) == said


def test_our_own_markup_passes() -> None:
    assert wording.say(Markup("<b>x</b>")) == "<b>x</b>"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 11, 2), date(2026, 11, 2), "2 November 2026"),
        (date(2026, 11, 2), date(2026, 11, 9), "2 to 9 November 2026"),
        (date(2026, 10, 31), date(2026, 11, 9), "31 October to 9 November 2026"),
        (date(2025, 12, 31), date(2026, 1, 1), "31 December 2025 to 1 January 2026"),
        (None, None, "no data"),
    ],
)
def test_spans_of_days(first: date | None, last: date | None, said: str) -> None:
    assert wording.say_days(first, last) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0"), (1, "fewer than 8"), (7, "fewer than 8"), (8, "8"), (None, "no data")]
)
def test_small_numbers_of_people(count: int | None, said: str) -> None:
    assert wording.say_people(count, 8) == said


@given(st.text())
def test_shown_text_is_one_visible_line(text: str) -> None:
    import unicodedata

    shown = wording.show_text(text)
    assert len(shown) <= wording.TEXT_LIMIT
    assert not [one for one in shown if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(st.text())
def test_unreadable_evidence_is_no_evidence(text: str) -> None:
    assert isinstance(wording.list_evidence(text), list)


def test_evidence_is_found_at_any_depth() -> None:
    text = '{"records": [{"table": "t", "record_id": "1"}, {"record_id": "2"}], "counts": {"n": 2}}'
    assert wording.list_evidence(text) == [("t", "1"), ("no data", "2")]


def test_a_chart_has_four_panels_at_most_and_no_foreign_markup() -> None:
    rows = [
        {"day": date(2026, 11, n), "series": f"<b onload=x>{s}\x00", "value": None if n == 2 else n}
        for n in range(1, 5) for s in "abcdef"
    ]  # fmt: skip
    chart = charts.draw_days("one", "<i>title</i>", "all\u202e", rows)
    assert len(chart.series) == charts.SERIES_LIMIT
    assert chart.rows[1] == ("2 November 2026", (None,) * 4)
    for forbidden in (
        "<b",
        "<i>",
        "onload=x>a<",
        "xmlns",
        "href",
        "style=",
        "aria-roledescription",
        "\u202e",
        "#0",
    ):
        assert forbidden not in str(chart.svg), forbidden
    assert 'class="band-fill"' in chart.svg
    assert 'class="bar-fill"' in chart.svg


def test_no_rows_no_chart() -> None:
    assert not charts.draw_days("one", "t", "a", [])
    assert not charts.draw_months("one", "t", "a", [])


def test_front_matter_is_checked(tmp_path) -> None:  # type: ignore[no-untyped-def]
    template = tmp_path / "x.html.j2"
    for text, wrong in (
        ("<p>", "no front matter"),
        ("{#- title = -#}", "not TOML"),
        ('{#- titel = "x" -#}', "missing or unknown: .*titel"),
    ):
        template.write_text(text, encoding="utf-8")
        with pytest.raises(SoftwareError, match=wrong):
            read_passport(template)
