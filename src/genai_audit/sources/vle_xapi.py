"""Learning records (xAPI statements), pulled from a Learning Record Store or read from JSON Lines.

Contains: one record for each statement that a rule under [[vle_xapi.rules]] names as GenAI use: who, when,
course, feature, tool, success. No standard GenAI verb exists, so people say by verb, activity type, object
id, extension or category which statements count; an object id that looks like AI and matches no rule is kept
as "unclassified: …". Does not contain: the other statements (counted as `not_genai`, not landed), names,
answers, titles or scores; what the VLE never sent to the store (Moodle's xAPI plugin, for one, doesn't see
its AI actions).

Windows go by the time a statement was stored, so late ones are found; `overlap_days` is asked for again.
Permission: an account that may read all statements. Lag: what the store says in
X-Experience-API-Consistent-Through. Traps: some stores go by the event's own time instead, and give no such
header. A statement that is voided after it was landed stays; the count `voiding` shows that there were some.
facts/vle.md §2.3, §6.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, Source, SourceContext
from genai_audit.settings import Settings, SourceOptions
from genai_audit.sources._json_lines import ADVICE, first_object, read_objects
from genai_audit.sources._tables import Damage
from genai_audit.sources._vle_records import fill_pages, identify
from genai_audit.sources._xapi_statements import NO_RULE, StatementSorter, VleXapiOptions, is_statement

KIND = "xapi_jsonl"


def missing(settings: Settings, options: SourceOptions) -> str:
    assert isinstance(options, VleXapiOptions)
    is_filled = options.url and options.user and options.password_path
    return "" if is_filled else "fill url, user and password_path under [vle_xapi]"


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """Canonical records of statements stored in the window; the last page carries the facts.

    Facts: statements, genai, unclassified, not_genai, voiding, voided, unreadable, page_count,
    consistent_through, retry_count, throttled_count, outcome, reason. Raises SourceUnavailableError,
    PermissionMissingError or ConfigurationError if no page came. A killed pull goes on at its last page.
    """
    from genai_audit.sources._xapi_store import StoreReader

    return StoreReader(window, context).stream()


def probe(context: SourceContext) -> str:
    """Ask once for one statement."""
    from genai_audit.sources._xapi_store import connect

    assert isinstance(context.options, VleXapiOptions)
    with connect(context.options) as web:
        web.get_json("statements", {"limit": 1})
    rules = len(context.options.rules)
    return f"{context.options.url} answers; {rules} rule(s) say which statements are GenAI"


def recognise(path: Path, head: bytes) -> str | None:
    return KIND if is_statement(first_object(path, head)) else None


def read(path: Path, kind: str, context: SourceContext) -> Iterator[RawPage]:
    """One statement a line. Refused whole (BadDataError) when more than one line in a hundred, and at least
    two, is no JSON object. The file is read once before: a later line may void an earlier one."""
    options = context.options if isinstance(context.options, VleXapiOptions) else VleXapiOptions()
    damage, first = Damage(), StatementSorter(options.rules)
    for statement in read_objects(path, damage):
        first.take(statement)
    damage.judge(path, "A line", ADVICE)
    again = StatementSorter(options.rules, first.voided)
    if first.voided:
        deque(_read_again(path, again), maxlen=0)  # only to count those that were voided
        first.counts["voided"] = again.counts["voided"]
    facts = first.conclude() | {"unreadable_lines": len(damage.unreadable)}
    yield from fill_pages(_read_again(path, again), facts | _judge(facts, options))


def _read_again(path: Path, sorter: StatementSorter) -> Iterator[bytes]:
    for statement in read_objects(path):
        taken = sorter.take(statement)
        if taken and sorter.keeps(taken[0]):
            yield taken[1]


def _judge(facts: dict[str, Any], options: VleXapiOptions) -> dict[str, str]:
    if not options.rules:
        return {"outcome": "unproven", "reason": NO_RULE}
    if facts["genai"] + facts["unclassified"] > facts["voided"]:
        return {}
    seen = f"none of the file's {facts['statements']:,} statements matches a rule"
    return {"outcome": "unproven", "reason": seen if facts["statements"] else "the file holds no record"}


SOURCE = Source(
    title="VLE learning records (xAPI)",
    family="vle",
    base_table="stg_vle_use",
    identify=identify,
    lag=timedelta(days=1),
    expected="daily",
    unproven_when="no rule says which statements are GenAI, or a window with a weekday holds no statement",
    pull=pull,
    options=VleXapiOptions,
    is_window_by_arrival=True,
    keeps=timedelta(days=3650),
    requests=1,
    missing=missing,
    probe=probe,
    kinds=(KIND,),
    recognise=recognise,
    read=read,
)
