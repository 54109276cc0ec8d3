"""Blackboard Illuminate: the VLE's telemetry and course items in Snowflake, asked by SQL.

Contains: clicks on GenAI controls in Ultra (`interaction`: AI Conversation messages sent and set up, and AI
object ids that nobody listed yet, as "unclassified: …"), items that are flagged as made with AI or that are
AI Conversations (`artefact`, the vendor's code kept in `outcome`), and for the newest window each course's
items with AI of all its items (`aggregate`, a state of that day). These kinds are different facts and are
never added together.

Does not contain: prompts, answers, titles, names, addresses, devices (none is selected); generations that
were rejected (they leave no flag); what third-party tools inside the VLE do.

Windows go by the time a row arrived; items by the time they changed. An item whose code changes is landed
again, and the mart keeps its newest record. Permission: the service user that comes
with Illuminate's developer access, whose password expires. Lag: telemetry half an hour, items and people
overnight, so people and courses that are not known yet are kept and counted (unmatched_people,
unmatched_courses). Traps: event ids repeat; the meaning of the code P is not published; a table outside the
licence looks like one that doesn't exist. facts/vle.md §1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._snowflake import Snowflake, SnowflakeOptions
from genai_audit.sources._vle_features import read_features
from genai_audit.sources._vle_records import identify

NAME, SECTION = "Illuminate", "vle_illuminate"


class VleIlluminateOptions(SnowflakeOptions):
    """Section [vle_illuminate]."""

    overlap_days: int = Field(3, ge=0, le=180)  # items and people arrive overnight, by the site's clock
    course_totals: bool = True  # one row a course and day: how many items, and how many with AI


def missing(settings: Settings, options: SourceOptions) -> str:
    assert isinstance(options, VleIlluminateOptions)
    has_credential = options.password_path or options.private_key_path
    is_filled = options.account and options.database and options.user and has_credential
    return "" if is_filled else "fill account, database and password_path under [vle_illuminate]"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records of one window; the last page carries the facts.

    Facts: telemetry_rows, unclassified, unmatched_people, unmatched_courses, unknown_ai_codes, absent_tables,
    absent_dimensions, outcome, reason. Raises SourceUnavailableError or ConfigurationError if no record came.
    A pull that was killed is asked again from the window's beginning.
    """
    from genai_audit.sources._illuminate_pull import IlluminateReader

    options = context.options
    assert isinstance(options, VleIlluminateOptions)
    features = read_features(context.registers)
    with Snowflake(NAME, options, SECTION) as service:
        yield from IlluminateReader(service, window, features, is_totalled=options.course_totals).stream()


def probe(context: SourceContext) -> str:
    """Sign in once and ask which of our tables the account can see."""
    from genai_audit.sources import _illuminate_sql as sql

    assert isinstance(context.options, VleIlluminateOptions)
    with Snowflake(NAME, context.options, SECTION) as service:
        seen = {row["NAME"].upper() for batch in service.rows(sql.TABLES) for row in batch}
    wanted = (sql.EVENTS, sql.ITEMS, *sql.DIMENSION_TABLES)
    lacking = [table for table in wanted if table not in seen]
    return (
        f"Illuminate answers; {'not visible: ' + ', '.join(lacking) if lacking else 'all tables are visible'}"
    )


SOURCE = Source(
    title="Blackboard Illuminate",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="daily",
    unproven_when="a window holds no GenAI event and no flagged item, or the account can't see the tables",
    pull=pull,
    options=VleIlluminateOptions,
    is_window_by_arrival=True,
    keeps=timedelta(days=365),  # how long the vendor keeps telemetry is not published
    requests=5,  # sign in, list the tables, count, clicks, items; one or two more for the newest window
    missing=missing,
    probe=probe,
)
