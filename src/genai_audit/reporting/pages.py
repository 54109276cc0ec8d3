"""`render_reports`: one page of HTML a template, from that template's audience's published file only.

A page opens from a file share and asks nobody for anything: styles and charts are inside it, scripts and
outside addresses are refused by its own content security policy (facts/trust.md §8.1 T5).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from genai_audit.calendars import Window, uk_day
from genai_audit.errors import BadDataError
from genai_audit.registry import Detection, Source
from genai_audit.reporting import charts, wording
from genai_audit.reporting.passports import Passport, ask, read_lists, read_passport
from genai_audit.settings import Settings
from genai_audit.workspace import shipped, write_durably

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OpenPublished = Callable[[Path], "DuckDBPyConnection"]
STYLE = "_style.css"


@dataclass(frozen=True)
class ReportContext:
    """What the pages say besides the published tables. `period` is None when nothing was collected.

    `head_sha256`: hash of the newest manifest, None when nothing was landed. `detections` and
    `sources`: the registry's, by id; a page explains a finding or a permission only when they are given.
    """

    period: Window | None
    made_at: datetime
    run_id: str
    code_version: str
    head_sha256: str | None
    detections: Mapping[str, Detection] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def first_day(self) -> date | None:
        return uk_day(self.period.start) if self.period else None

    @property
    def last_day(self) -> date | None:
        return uk_day(self.period.end - timedelta(microseconds=1)) if self.period else None

    @property
    def period_words(self) -> str:
        if self.period is None:
            return "no period, because nothing was collected"
        return wording.say_days(self.first_day, self.last_day)


def render_reports(
    published: Path,
    target: Path,
    settings: Settings,
    context: ReportContext,
    *,
    open_published: OpenPublished | None = None,
) -> list[Path]:
    """Write `target/<report>.html` for every template and give the paths back, in order of name.

    Raises BadDataError when an audience's file was never published. `open_published` opens one published
    file read-only and locked down; by default the warehouse's.
    """
    folder = shipped("reports")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    opener = open_published or _find_opener()
    environment = make_environment(folder, settings)
    written = []
    for template in sorted(folder.glob("[!_]*.html.j2")):
        passport = read_passport(template)
        page = target / f"{passport.report}.html"
        write_durably(page, _render(environment, passport, published, context, opener).encode("utf-8"))
        written.append(page)
    return written


def make_environment(folder: Path, settings: Settings) -> Environment:
    """Autoescape always, unknown names are errors, every value is said by `wording.say`."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=wording.say,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": wording.say_count,
        "evidence": wording.list_evidence,
        "month": wording.say_month,
        "people": partial(wording.say_people, below=settings.privacy.suppress_below),
        "short": wording.shorten,
    }
    style = (folder / STYLE).read_text(encoding="utf-8")
    environment.globals |= {
        "days": wording.say_days,
        "draw_days": charts.draw_days,
        "draw_months": charts.draw_months,
        "privacy": settings.privacy,
        "organisation": settings.reports.organisation,
        "contact": settings.reports.contact,
        "style": Markup(style),
        "style_hash": "sha256-" + base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode(),
    }
    return environment


def _render(
    environment: Environment,
    passport: Passport,
    published: Path,
    context: ReportContext,
    opener: OpenPublished,
) -> str:
    source = published / f"{passport.audience}.duckdb"
    if not source.exists():
        raise BadDataError(
            f"Nothing is published for {passport.audience} yet, so there is nothing to report.",
            where=source.name,
            next_step="Run `genai-audit run`; a critical quality failure stops publishing.",
        )
    with closing(opener(source)) as connection:
        answers = ask(connection, passport, {"first_day": context.first_day, "last_day": context.last_day})
    template = environment.get_template(f"{passport.report}.html.j2")
    lists = read_lists(passport, shipped("reports"))
    return template.render(passport=passport, context=context, lists=lists, **answers)


def _find_opener() -> OpenPublished:
    from genai_audit.warehouse import open_published

    return open_published
