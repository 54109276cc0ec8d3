"""Moodle's own AI registers, asked by SQL from its PostgreSQL database or, better, a replica of it.

Contains: `ai_action_register`, one record for each attempt of a provider (who, when, action, provider,
success; an action that failed over has several, which share `action_key`), and `ai_policy_register`, one
record for each person who accepted the site's AI policy, under a feature of its own: acceptance is no use.

Does not contain: prompts, answers, error texts, names (none is selected); AI use outside Moodle's AI
subsystem; actions for which no provider was configured (they leave no row). Logs, xAPI and Caliper of Moodle
never see any of this. Permission: an account that may SELECT `id, actionname, success, userid, contextid,
provider, timecreated` of the one table and `userid, timeaccepted` of the other. Lag: none.

Traps: `actionid` differs from attempt to attempt, so attempts of one action are told by what they share;
person ids are Moodle's numbers and match no directory; a MySQL database is read by its export instead
(`vle_csv`, maps moodle_ai_action_register and moodle_ai_policy_register: the same rows have the same ids).
facts/vle.md §2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._postgres import Postgres, PostgresOptions
from genai_audit.sources._vle_records import identify

NAME, SECTION = "Moodle's database", "vle_moodle"


class VleMoodleOptions(PostgresOptions):
    """Section [vle_moodle]."""

    table_prefix: str = Field("mdl_", pattern=r"^[a-z0-9_]{0,10}$")  # of all tables, as Moodle's config says


def missing(settings: Settings, options: SourceOptions) -> str:
    assert isinstance(options, VleMoodleOptions)
    has_credential = options.password_path or options.host.startswith("/")
    is_filled = options.host and options.database and options.user and has_credential
    return "" if is_filled else "fill host, database, user and password_path under [vle_moodle]"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records of actions and acceptances in the window; the last page carries the facts.

    Facts: unreadable, absent_tables, retry_count, outcome, reason. Raises SourceUnavailableError or
    ConfigurationError if no record came. A pull that was killed is asked again from the window's beginning.
    """
    from genai_audit.sources._moodle_rows import MoodleReader

    options = context.options
    assert isinstance(options, VleMoodleOptions)
    with Postgres(NAME, options, SECTION) as service:
        yield from MoodleReader(service, window, options.table_prefix).stream()


def probe(context: SourceContext) -> str:
    """Sign in once and ask which of the registers the account can see."""
    from genai_audit.sources._moodle_rows import REGISTERS, count_visible

    options = context.options
    assert isinstance(options, VleMoodleOptions)
    with Postgres(NAME, options, SECTION) as service:
        visible = count_visible(service, options.table_prefix)
    return f"Moodle's database answers; {visible} of {len(REGISTERS)} registers are visible"


SOURCE = Source(
    title="Moodle AI registers",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="daily",
    unproven_when="a window with a weekday holds no action, or the account can't see the registers",
    pull=pull,
    options=VleMoodleOptions,
    keeps=timedelta(days=3650),  # nothing is removed by itself but with a person's account
    requests=3,  # sign in and two questions
    missing=missing,
    probe=probe,
)
