"""Courses, terms, schools and memberships of Blackboard Learn, from its REST interface.

Contains: each course with its term and its place in the institutional hierarchy, and who is in it in which
role: what a VLE record needs to be counted by school, term and role. A snapshot: how things are today.
Does not contain: any use of GenAI (the REST interface knows of none), names, addresses or titles: users are
ids. Permission: an application of your developer group, registered in Learn, whose user may view terms,
courses, the hierarchy and memberships. Trap: your group has 10,000 calls a day for all its applications; a
course costs one. What a day does not hold is read on the next, and `--dry-run` shows the cost first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from genai_audit.calendars import Window
from genai_audit.errors import GenaiAuditError
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.sources._blackboard_lists import API, COURSES, MEMBERSHIPS
from genai_audit.sources._blackboard_options import (
    BlackboardRestOptions,
    describe_budget,
    find_missing,
    open_budget,
    options_of,
)

if TYPE_CHECKING:
    from genai_audit.sources._blackboard_reader import Reader


def identify(record: dict[str, Any]) -> RecordIdentity:
    """An entry of a list has no time of its own."""
    if record.get("kind") == "membership":
        parts = (record.get("courseId"), record.get("userId"))
    else:
        parts = (record.get("kind"), record.get("id"))
    is_whole = all(isinstance(part, str) and part for part in parts)
    return RecordIdentity(":".join(map(str, parts)) if is_whole else None, None)


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """All of the round so far; the facts say which lists were not read, and why."""
    from genai_audit.sources._blackboard_reader import Reader  # httpx loads slowly

    options, budget = options_of(context), open_budget(context)
    planned, spent = budget.planned, budget.spent
    reader = Reader(options, budget, window.end, context.state_dir)
    received, failure = 0, None
    try:
        with reader.web:
            for records in reader.records():
                received += len(records)
                yield RawPage(records)
    except GenaiAuditError as error:
        if not received:
            raise
        failure = error
    finally:
        budget.settle(reader.round.calls if reader.round.is_closed else None)
    yield RawPage(
        facts=_conclude(reader, received, failure)
        | {"calls_planned": planned, "calls_spent": max(0, budget.spent - spent)}
    )


def _conclude(reader: Reader, received: int, failure: GenaiAuditError | None) -> dict[str, Any]:
    unread = reader.count_unread_courses()
    reasons = [failure.what.rstrip(".")] if failure else []
    reasons += reader.remarks
    if not reader.round.is_read(COURSES.name):
        reasons.append("not read: some courses, and all memberships")
    elif unread:
        reasons.append(f"not read: {MEMBERSHIPS.name} of {unread:,} of {len(reader.wanted):,} courses")
    if failure:
        reasons.append("the next run goes on there")
    whole = "complete" if received else "unproven"
    return {
        "page_count": sum(reader.round.calls.values()), "course_count": reader.course_count,
        "courses_gone": reader.gone_count, "retry_count": reader.web.patience.retry_count,
        "throttled_count": reader.web.patience.throttled_count,
        "outcome": "partial" if reasons else whole,
        "reason": "; ".join(reasons) or ("" if received else "Blackboard lists no course"),
    }  # fmt: skip


def probe(context: SourceContext) -> str:
    """Sign in and ask for the version: two calls at most."""
    from genai_audit.sources._blackboard_reader import NAME, SignIn
    from genai_audit.sources._web import Web

    options, budget = options_of(context), open_budget(context)
    sign_in = SignIn(options, budget)
    with Web(NAME, options.url, options, sign=sign_in.sign, ca_bundle=options.ca_bundle) as web:
        version = web.get_json(f"{API}/v1/system/version")
    budget.settle()
    learn = version.get("learn", {}) if isinstance(version, dict) else {}
    number = ".".join(str(learn.get(part, "?")) for part in ("major", "minor", "patch"))
    return f"signed in to Blackboard Learn {number}; {budget.left:,} calls are left today"


SOURCE = Source(
    title="Blackboard courses and memberships (REST)",
    family="blackboard_dim",
    base_table="stg_vle_dimension",
    identify=identify,
    lag=timedelta(0),
    unproven_when="Blackboard lists no course",
    pull=pull,
    options=BlackboardRestOptions,
    is_snapshot=True,
    requests=4,
    missing=find_missing,
    probe=probe,
    budget=describe_budget,
)
