"""Statements of one window from a Learning Record Store, page by page (facts/vle.md §2.3, §6.3).

`since` is exclusive and `until` inclusive, and both mean the time a statement was stored, so windows join
without a gap. The newest come first, which is the standard's own order. Nothing else is filtered by the
store: filters differ between products, and a verb filter may silently return nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import httpx

from genai_audit.calendars import Window, format_instant, read_instant, uk_day
from genai_audit.errors import GenaiAuditError
from genai_audit.registry import RawPage, SourceContext
from genai_audit.sources._private_files import read_private
from genai_audit.sources._vle_records import PAGE_RECORDS
from genai_audit.sources._web import DistrustedError, RefusedError, Web
from genai_audit.sources._xapi_spool import Spool
from genai_audit.sources._xapi_statements import NO_RULE, StatementSorter, VleXapiOptions

NAME = "The Learning Record Store"
CONSISTENT = "X-Experience-API-Consistent-Through"
EMPTY = "the store holds no statement of a window with a weekday: the VLE may not be sending any"


class Credential:
    """HTTP Basic; the password file is read again after a refusal, because passwords are changed."""

    def __init__(self, options: VleXapiOptions) -> None:
        self._options = options
        self.renew()

    def renew(self) -> None:
        password = read_private(self._options.password_path, "vle_xapi.password_path").strip()
        both = self._options.user.encode("utf-8") + b":" + password
        self._header = f"Basic {base64.b64encode(both).decode('ascii')}"

    def sign(self) -> Mapping[str, str]:
        return {"Authorization": self._header, "X-Experience-API-Version": "1.0.3"}


class StoreReader:
    """Reads one window into its spool."""

    def __init__(self, window: Window, context: SourceContext) -> None:
        assert isinstance(context.options, VleXapiOptions)
        self._window, self._context, self._options = window, context, context.options
        self._span = {"since": format_instant(window.start), "until": format_instant(window.end)}
        self.sorter = StatementSorter(self._options.rules)
        rules = [rule.model_dump() for rule in self._options.rules]
        scope = {"url": self._options.url, "user": self._options.user, "rules": rules, **self._span}
        self.spool = Spool(context.state_dir, scope, self.sorter)

    def stream(self) -> Iterator[RawPage]:
        """Canonical records, then one page with the facts."""
        failure: GenaiAuditError | None = None
        with connect(self._options, self._look) as web:
            try:
                self._read(web)
            except GenaiAuditError as error:
                failure = error
            if failure and not self.spool.page_count:
                raise failure
            page: list[bytes] = []
            for record in self.spool.records():
                page.append(record)
                if len(page) == PAGE_RECORDS:
                    yield RawPage(page)
                    page = []
            yield RawPage(page, self._conclude(web, failure))
        # The next pull goes on where this one broke off, but starts anew when the answers can't be trusted.
        if failure is None or isinstance(failure, DistrustedError):
            self.spool.clear()

    def _read(self, web: Web) -> None:
        try:
            self._read_on(web)
        except RefusedError:
            if not self.spool.more:
                raise
            self.spool.clear()  # the link we came back to, or were given, has expired
            self._read_on(web)

    def _read_on(self, web: Web) -> None:
        spool, seen = self.spool, set[int]()
        while spool.more != "":
            link = spool.more
            if link is None:
                answer = web.get_json("statements", self._span | {"limit": self._options.page_size})
            else:
                if hash(link) in seen:
                    raise web.distrust("its pages go round in a circle")
                seen.add(hash(link))
                answer = web.get_json(link)
            found = answer.get("statements") if isinstance(answer, dict) else None
            if not isinstance(found, list):
                raise web.distrust("it has no list of statements")
            more = answer.get("more") or ""
            if not isinstance(more, str):
                raise web.distrust("its next link is no link")
            taken = [one for statement in found if (one := self.sorter.take(statement))]
            if more:
                web.resolve(more)  # before its page counts as read: a foreign link is never noted
            spool.add(taken, more)

    def _look(self, headers: httpx.Headers) -> None:
        """Remember the earliest instant through which the store says it is consistent."""
        try:
            through = format_instant(read_instant(headers.get(CONSISTENT, "")))
        except (ValueError, OverflowError):
            return
        self.spool.consistent_through = min(self.spool.consistent_through or through, through)

    def _conclude(self, web: Web, failure: GenaiAuditError | None) -> dict[str, Any]:
        facts = self.sorter.conclude()
        through, end = self.spool.consistent_through, self._span["until"]
        doubts = [failure.what.rstrip(".")] if failure else []
        if through and through < end:
            doubts.append(f"the store is consistent only through {through}, before the window's end")
        is_empty = not facts["statements"] and self._context.is_expected and _holds_a_weekday(self._window)
        unproven = ([] if self._options.rules else [NO_RULE]) + ([EMPTY] if is_empty else [])
        remarks = []
        if facts["statements"] and not facts["genai"] + facts["unclassified"]:
            remarks.append(f"none of {facts['statements']:,} statements matches a rule")
        if self.sorter.counts["without_stored"]:
            remarks.append("statements carry no stored time: this store may go by the time of the event")
        outcome = "partial" if doubts else "unproven" if unproven else "complete"
        return facts | {
            "page_count": self.spool.page_count, "consistent_through": through or None,
            "retry_count": web.patience.retry_count, "throttled_count": web.patience.throttled_count,
            "outcome": outcome, "reason": "; ".join([*doubts, *unproven, *remarks]),
        }  # fmt: skip


def connect(options: VleXapiOptions, look: Any = None) -> Web:
    credential = Credential(options)
    return Web(
        NAME,
        options.url,
        options,
        sign=credential.sign,
        renew=credential.renew,
        look=look,
        ca_bundle=options.ca_bundle,
    )


def _holds_a_weekday(window: Window) -> bool:
    """Is it at least a day wide, with a Monday to Friday in it?"""
    noon = window.start + timedelta(hours=12)
    days = int((window.end - window.start) / timedelta(days=1))
    return any(uk_day(noon + timedelta(days=day)).weekday() < 5 for day in range(days))
