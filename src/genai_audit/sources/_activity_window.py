"""One window of the activity feed: what was announced in it, read blob by blob, and what is missing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from genai_audit.calendars import Window, uk_day
from genai_audit.errors import GenaiAuditError, PermissionMissingError
from genai_audit.registry import RawPage, SourceContext
from genai_audit.sources._activity_feed import Feed, open_feed
from genai_audit.sources._activity_options import M365ActivityApiOptions
from genai_audit.sources._audit_families import make_test
from genai_audit.sources._raw_pages import ServicePage
from genai_audit.sources._web import RefusedError

BY_ARRIVAL = "the window is of arrival: records of its days may stand in later windows too"
NOTHING = "the feed announced no content at all: is auditing on? It is no proof of no use"


@dataclass
class Tally:
    """What is known about the window so far; becomes the facts of its manifest."""

    subscriptions: dict[str, str] = field(default_factory=dict)
    received: int = 0
    left_out: int = 0
    blob_count: int = 0
    repeated_count: int = 0  # announced twice, read once
    expired_count: int = 0
    gaps: list[str] = field(default_factory=list)  # each makes the window unproven
    refusals: list[tuple[str, GenaiAuditError]] = field(default_factory=list)  # content type, why
    has_read: bool = False  # one content type at least was listed


def stream_window(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """A page for each blob, then one with the facts: subscriptions, page_count, blob_count, repeated_count,
    expired_count, left_out, request_count, retry_count, throttled_count, outcome, reason.

    Raises SourceUnavailableError (or PermissionMissingError, ConfigurationError) only if nothing came.
    """
    options, tally = context.options, Tally()
    assert isinstance(options, M365ActivityApiOptions)
    failure: GenaiAuditError | None = None
    with open_feed(context) as feed:
        try:
            tally.subscriptions = feed.list_subscriptions()
            for content_type in options.content_types:
                try:
                    if _is_open(feed, content_type, options, tally):
                        yield from _read_type(feed, content_type, window, options, tally)
                except (PermissionMissingError, RefusedError) as refused:
                    tally.refusals.append((content_type, refused))
        except GenaiAuditError as error:
            failure = error
        if failure and not tally.received:
            raise failure
        if tally.refusals and not tally.has_read:
            raise tally.refusals[0][1]
        yield RawPage(facts=_conclude(feed, window, context, tally, failure))


def _is_open(feed: Feed, content_type: str, options: M365ActivityApiOptions, tally: Tally) -> bool:
    """Is the content type subscribed? One that is not is started only if the configuration says so."""
    status = tally.subscriptions.get(content_type, "never started")
    if status == "enabled":
        return True
    if options.start_subscriptions:
        feed.start(content_type)
        tally.subscriptions[content_type] = "started now"
        words = "it was started now, its first content comes within twelve hours"
    else:
        words = f"{status}; set start_subscriptions, or let an administrator start it"
    tally.gaps.append(f"no subscription for {content_type}: {words}")
    return False


def _read_type(
    feed: Feed, content_type: str, window: Window, options: M365ActivityApiOptions, tally: Tally
) -> Iterator[RawPage]:
    is_ours, known = make_test(options.operations), set[str]()
    for contents in feed.list_contents(content_type, window):
        tally.has_read = True
        for content in contents:
            if content.content_id in known:
                tally.repeated_count += 1
                continue
            known.add(content.content_id)
            try:
                blob = feed.read(content)
            except RefusedError:  # a blob can be read for seven days after it was announced
                tally.expired_count += 1
                continue
            tally.blob_count += 1
            yield _take(blob, is_ours, tally)


def _take(blob: ServicePage, is_ours: Callable[[Mapping[str, Any]], bool], tally: Tally) -> RawPage:
    """What is ours of a blob. What can't be read is landed: there it is set aside and counted."""
    kept = [no for no, value in enumerate(blob.values) if not isinstance(value, dict) or is_ours(value)]
    tally.received += len(blob.records)
    tally.left_out += len(blob.records) - len(kept)
    return RawPage([blob.records[no] for no in kept], values=[blob.exact[no] for no in kept])


def _conclude(
    feed: Feed, window: Window, context: SourceContext, tally: Tally, failure: GenaiAuditError | None
) -> dict[str, Any]:
    doubts = [f"{content_type}: {refused.what}" for content_type, refused in tally.refusals]
    if tally.expired_count:
        announced = tally.blob_count + tally.expired_count
        doubts.append(f"{tally.expired_count} of {announced} pieces of content could not be read any more")
    if failure:
        doubts.append(failure.what)
    is_silent = not (tally.blob_count or tally.expired_count or tally.gaps or tally.refusals)
    nothing = [NOTHING] if is_silent and context.is_expected and _is_a_weekday(window) else []
    outcome = "partial" if doubts else "unproven" if tally.gaps or nothing else "complete"
    reasons = [*doubts, *tally.gaps, *nothing] or [BY_ARRIVAL]
    patience = feed.web.patience
    return {
        "subscriptions": tally.subscriptions, "page_count": feed.page_count, "blob_count": tally.blob_count,
        "repeated_count": tally.repeated_count, "expired_count": tally.expired_count,
        "left_out": tally.left_out, "request_count": feed.web.request_count,
        "retry_count": patience.retry_count, "throttled_count": patience.throttled_count,
        "outcome": outcome, "reason": "; ".join(one.rstrip(".") for one in reasons),
    }  # fmt: skip


def _is_a_weekday(window: Window) -> bool:
    """Is it a whole day, and is the UK day in its middle a Monday to Friday?"""
    span = window.end - window.start
    return span >= timedelta(days=1) and uk_day(window.start + span / 2).weekday() < 5
