"""Blackboard DDA: the read-only PostgreSQL replica of Learn's own database, asked by SQL once a day.

Contains: rows of ten tables that carry an AI flag (`artefact`: content, questions, rubrics, blogs,
discussions, linked files; feedback on attempts), AI Playground conversations (`interaction`: who, when,
which model) and each person's use of the day by model (`quota_counter`). These kinds are different facts and
are never added together.

Does not contain: titles, texts, prompts, answers, feedback, submissions or names (none is selected); what
was generated and rejected; AI Conversation messages; third-party tools. Illuminate knows the same items by
other ids: pull one of the two, or filter by source, for they are never recognised as the same.

A snapshot: all flagged rows that were made or changed within `history_days`, each loaded once; a code that
changes later is a new record, and of an item the mart keeps the newest. Codes (kept in `outcome`): O was made
by AI and accepted by a person, Y was not yet accepted (it counts too). Permission: one of the
accounts that come with DDA; only addresses that the vendor was told
are let in. Lag: minutes. Traps: the quota counter is set back every day and has no date, so pull at the same
hour, before that job; a day that is missed is lost. Linked files have no time of their own and bear that of
the first snapshot that saw them; blogs bear the time of their last change. Times have no zone (`time_zone`).
facts/vle.md §1.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._postgres import Postgres, PostgresOptions
from genai_audit.sources._vle_records import identify

NAME, SECTION = "Blackboard DDA", "vle_dda"


class VleDdaOptions(PostgresOptions):
    """Section [vle_dda]."""

    history_days: int = Field(400, ge=1, le=3_660)  # flagged rows made or changed within so many days
    time_zone: str = "UTC"  # of the database's times, which bear none

    @field_validator("time_zone")
    @classmethod
    def check_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone; write it like Europe/London") from None
        return value


def missing(settings: Settings, options: SourceOptions) -> str:
    assert isinstance(options, VleDdaOptions)
    has_credential = options.password_path or options.host.startswith("/")
    is_filled = options.host and options.database and options.user and has_credential
    return "" if is_filled else "fill host, database, user and password_path under [vle_dda]"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records of today's snapshot; the last page carries the facts.

    Facts: ai_codes, without_time, without_course, without_person, absent_tables, retry_count, outcome,
    reason. Raises SourceUnavailableError or ConfigurationError if no record came. A pull that was killed is
    asked again from the beginning.
    """
    from genai_audit.sources._dda_pull import DdaReader

    options = context.options
    assert isinstance(options, VleDdaOptions)
    with Postgres(NAME, options, SECTION) as service:
        reader = DdaReader(service, window, options.history_days, ZoneInfo(options.time_zone))
        yield from reader.stream()


def probe(context: SourceContext) -> str:
    """Sign in once and ask which of our tables the account can see."""
    from genai_audit.sources import _dda_tables as tables

    assert isinstance(context.options, VleDdaOptions)
    with Postgres(NAME, context.options, SECTION) as service:
        seen = service.rows(tables.ASK_COLUMNS, {"tables": list(tables.ALL_TABLES)})
        columns = tables.Columns([tuple(row.values()) for batch in seen for row in batch])
    asked = sum(tables.ask_flagged(one, columns) is not None for one in tables.FLAGGED)
    return f"DDA answers; {asked} of {len(tables.FLAGGED)} tables with an AI flag are visible"


SOURCE = Source(
    title="Blackboard DDA (database replica)",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="daily",
    unproven_when="a snapshot holds no AI flag, conversation or counter at all",
    pull=pull,
    options=VleDdaOptions,
    is_snapshot=True,
    is_window_by_arrival=True,
    requests=14,  # sign in, list the columns, and one question a table
    missing=missing,
    probe=probe,
)
