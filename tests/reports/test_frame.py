"""What is true of every page: structure, accessibility, safety, provenance."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from pathlib import Path

import pytest

from genai_audit.workspace import shipped
from reports.page_facts import Page

REPORTS = ("compliance_audit", "iss_operations", "vle_usage")
TEMPLATES = sorted(shipped("reports").glob("*.j2"))


@pytest.fixture(params=[(report, kind) for report in REPORTS for kind in ("full", "empty")], ids="-".join)
def page(
    request: pytest.FixtureRequest, pages: dict[str, str], empty_pages: dict[str, str]
) -> tuple[str, Page]:
    report, kind = request.param
    text = (pages if kind == "full" else empty_pages)[report]
    return text, Page(text)


def test_there_is_one_page_for_each_template(pages: dict[str, str]) -> None:
    assert sorted(pages) == sorted(REPORTS)


def test_markup_is_well_formed(page: tuple[str, Page]) -> None:
    assert page[1].problems == []
    assert page[1].open == []


def test_language_title_and_landmarks(page: tuple[str, Page]) -> None:
    facts = page[1]
    assert facts.named("html") == [{"lang": "en-GB"}]
    for landmark in ("title", "header", "main", "footer", "h1"):
        assert len([tag for tag, _ in facts.tags if tag == landmark]) == 1 + (landmark == "title") * len(
            facts.named("svg")
        )
    assert facts.named("a")[0] == {"class": "skip", "href": "#main"}
    assert facts.named("nav")


def test_headings_never_skip_a_level(page: tuple[str, Page]) -> None:
    levels = [level for level, _ in page[1].headings]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(text.strip() for _, text in page[1].headings)


def test_links_lead_to_places_on_the_page(page: tuple[str, Page]) -> None:
    facts = page[1]
    ids = facts.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in facts.attributes("href")} <= set(ids)
    for name in ("aria-labelledby", "aria-describedby"):
        assert {one for value in facts.attributes(name) for one in value.split()} <= set(ids)


def test_every_table_is_captioned_scoped_and_full(page: tuple[str, Page]) -> None:
    captions = [table.caption.strip() for table in page[1].tables]
    assert all(captions)
    assert len(captions) == len(set(captions))
    for table in page[1].tables:
        assert all(heading.get("scope") in ("col", "row") for heading in table.headings)
        assert len(table.rows) > 1, f"{table.caption} has no row"
        assert {len(row) for row in table.rows} == {len(table.rows[0])}
        assert all(cell.strip() for row in table.rows for cell in row), f"{table.caption} has an empty cell"


def test_nothing_is_asked_from_outside(page: tuple[str, Page]) -> None:
    text, facts = page
    for name in ("src", "href", "srcset", "action", "data", "xlink:href", "poster"):
        assert not [one for one in facts.attributes(name) if not one.startswith("#")]
    for tag in ("script", "link", "iframe", "object", "embed", "form", "base", "foreignobject", "img"):
        assert not facts.named(tag)
    assert not [
        name for _, values in facts.tags for name in values if name.startswith("on") or name == "style"
    ]
    assert "url(" not in facts.style
    assert "@import" not in facts.style
    assert "http-equiv" in text


def test_policy_allows_this_style_and_nothing_else(page: tuple[str, Page]) -> None:
    policy = page[1].named("meta")[1]["content"]
    digest = base64.b64encode(hashlib.sha256(page[1].style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_charts_have_names_descriptions_and_numbers_beside_them(pages: dict[str, str]) -> None:
    for report in REPORTS:
        facts = Page(pages[report])
        charts = facts.named("svg")
        assert charts, report
        assert all(one["role"] == "img" and one["aria-labelledby"] for one in charts)
        assert len([tag for tag, _ in facts.tags if tag == "desc"]) == len(charts)
        assert len(facts.named("details")) == len(charts)


def test_every_page_says_where_it_comes_from(page: tuple[str, Page]) -> None:
    words = page[1].words
    for said in (
        "1 October to 14 November 2026",
        "Coverage",
        "15 November 2026, 07:05 UTC",
        "genai-audit 0.1.0",
        "20261115T063000Z-7f",
        "c0ffee" * 10 + "beef",
        "the information compliance team",
        "Accessibility",
        "WCAG 2.2 AA",
        "genai-audit verify",
        "Limits",
        "Disclosure",
        "What we cannot see",
    ):
        assert said in words, said


def test_dark_paper_and_narrow_screens_are_provided_for(page: tuple[str, Page]) -> None:
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert rule in page[1].style


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_switches_escaping_off(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)


def read_contrast(first: str, second: str) -> float:
    """WCAG contrast of two colours written #rrggbb."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_enough_contrast() -> None:
    style = (shipped("reports") / "_style.css").read_text(encoding="utf-8")
    palettes = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in style.split(":root")[1:]]
    palettes = [palettes[0] | palette for palette in palettes]
    assert len(palettes) == 3
    for palette in palettes:
        for text in ("ink", "quiet", "accent", "warn", "bad", "good"):
            assert read_contrast(palette[text], palette["paper"]) >= 4.5, text
        for text in ("ink", "accent"):
            assert read_contrast(palette[text], palette["raised"]) >= 4.5, text
        assert read_contrast(palette["warn"], palette["warn-paper"]) >= 4.5
        assert read_contrast(palette["accent"], palette["band"]) >= 3
