"""Reads the lists of Blackboard's REST interface within the day's calls, page by page (facts/vle.md §1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import orjson

from genai_audit.calendars import format_instant
from genai_audit.errors import PermissionMissingError
from genai_audit.sources._blackboard_lists import (
    API,
    COURSES,
    MEMBERSHIPS,
    NODE_COURSES,
    NODES,
    TERMS,
    BlackboardList,
    Campus,
)
from genai_audit.sources._blackboard_options import BlackboardRestOptions
from genai_audit.sources._blackboard_round import Round, SavedPage
from genai_audit.sources._call_budget import CallBudget, read_clock
from genai_audit.sources._patience import read_retry_after
from genai_audit.sources._private_files import read_private
from genai_audit.sources._web import RefusedError, Web

NAME = "Blackboard"
TOKEN = f"{API}/v1/oauth2/token"
GONE = 404  # a course that was deleted since the list of courses was read


class SignIn:
    """The application's token. Asking again returns the same one while it lives, so it is asked for late."""

    def __init__(self, options: BlackboardRestOptions, budget: CallBudget) -> None:
        self._options, self._budget, self._token = options, budget, ""
        secret = read_private(options.secret_path, "blackboard_rest.secret_path").decode().strip()
        self._pair = (options.application_key, secret)

    def sign(self) -> Mapping[str, str]:
        """Headers for one call, which is counted here: every attempt is one."""
        self._budget.spend()
        if not self._token:
            self._token = self._ask()
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}

    def forget(self) -> None:
        self._token = ""

    def _ask(self) -> str:
        options = self._options
        with Web(NAME, options.url, options, read_pause=read_pause, ca_bundle=options.ca_bundle) as web:
            answer = web.request("POST", TOKEN, auth=self._pair, data={"grant_type": "client_credentials"})
            try:
                token = orjson.loads(answer.content)["access_token"]
            except (orjson.JSONDecodeError, KeyError, TypeError):
                token = None
            if not isinstance(token, str) or not token.isascii():
                raise web.distrust("it holds no token")
            return token


class Reader:
    """Asks for what the round has not read yet. `remarks`: what could not be read, in words."""

    def __init__(
        self, options: BlackboardRestOptions, budget: CallBudget, now: datetime, folder: Path
    ) -> None:
        self._options, self._now = options, now
        scope = f"{options.url} {options.school_level} {options.memberships}"
        self.round = Round(folder, now, scope)
        self.campus = Campus()
        self.remarks: list[str] = []
        self.gone_count = 0
        self.course_count = 0
        self.wanted: list[str] = []  # courses whose memberships are to be read
        sign_in = SignIn(options, budget)
        self.web = Web(
            NAME, options.url, options, sign=sign_in.sign, renew=sign_in.forget, read_pause=read_pause,
            look=budget.note, ca_bundle=options.ca_bundle,
        )  # fmt: skip

    def records(self) -> Iterator[list[bytes]]:
        """Pages of records: everything that the round has read before, then what it reads now."""
        self._read_small_lists()
        for page in chain(self.round.saved(COURSES.name), self._read(COURSES)):
            self.course_count += len(page.entries)
            self.wanted += [course["id"] for course in page.entries if self._is_wanted(course)]
            yield [_write("course", page, self._describe(course)) for course in page.entries]
        for saved in self.round.saved(MEMBERSHIPS.name):
            yield [_write("membership", saved, entry) for entry in saved.entries]
        for course_id in self.wanted:
            try:
                for page in self._read(MEMBERSHIPS, course_id):
                    yield [_write("membership", page, entry) for entry in page.entries]
            except PermissionMissingError:
                self.remarks.append("this application may not read memberships")
                break
        self.round.close()

    def count_unread_courses(self) -> int:
        return sum(not self.round.is_read(MEMBERSHIPS.name, course_id) for course_id in self.wanted)

    def _read_small_lists(self) -> None:
        for saved in self.round.saved(TERMS.name, NODES.name, NODE_COURSES.name):
            self.campus.learn(saved.which, saved.entries)
        self._learn(TERMS, "this application may not read terms")
        if self._options.school_level and self._learn(NODES, "this application may not read the hierarchy"):
            for node in self.campus.node_ids:
                if not self._learn(
                    NODE_COURSES, "this application may not read courses of the hierarchy", node
                ):
                    break

    def _learn(self, one: BlackboardList, refused: str, of: str = "") -> bool:
        try:
            for page in self._read(one, of):
                self.campus.learn(one.name, page.entries)
        except (PermissionMissingError, RefusedError):
            self.remarks.append(refused)
            return False
        return True

    def _is_wanted(self, course: Mapping[str, Any]) -> bool:
        which = self._options.memberships
        is_in_time = which == "all" or (which == "current" and self.campus.is_current(course, self._now))
        return is_in_time and "id" in course

    def _describe(self, course: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.campus.describe(course), "school_level": self._options.school_level}

    def _read(self, one: BlackboardList, of: str = "") -> Iterator[SavedPage]:
        """The pages of a list that the round lacks."""
        if self.round.is_read(one.name, of):
            return
        path, params = one.path.format(of=of), one.params(self._options.page_size)
        link, asked = self.round.next_of.get((one.name, of)) or f"/{path}", set[str]()
        while link:
            asked.add(link)
            try:
                answer = self.web.get_json(_with_params(link, params))
            except RefusedError as refused:
                if not of or refused.status != GONE:
                    raise
                answer, self.gone_count = {"results": []}, self.gone_count + 1
            entries, link = self._check(answer, path, asked)
            page = SavedPage(one.name, of, link, format_instant(self._now), [one.pick(e) for e in entries])
            self.round.save(page)
            yield page

    def _check(self, answer: Any, path: str, asked: set[str]) -> tuple[list[dict[str, Any]], str]:
        """Entries and next link of an answer, or DistrustedError."""
        entries = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self.web.distrust("it holds no results")
        paging = answer.get("paging")
        link = paging.get("nextPage") if isinstance(paging, dict) else None
        if not link:
            return entries, ""
        if not isinstance(link, str) or urlsplit(self.web.resolve(link)).path != f"/{path}":
            raise self.web.distrust("its next page belongs to another list")
        if link in asked:
            raise self.web.distrust("its pages lead in a circle")
        return entries, link


def read_pause(headers: httpx.Headers) -> float | None:
    """Seconds to wait after a 429: `Retry-After`, or the older `X-Rate-Limit-Reset` (seconds since 1970)."""
    pause = read_retry_after(headers)
    reset = headers.get("X-Rate-Limit-Reset", "")
    if pause is None and reset.isdecimal():
        pause = max(0.0, int(reset) - read_clock().timestamp())
    return pause


def _with_params(link: str, params: Mapping[str, str]) -> str:
    """The link with our parameters, also where a next link forgets them: it must not bring other fields."""
    parts = urlsplit(link)
    query = dict(parse_qsl(parts.query)) | dict(params)
    return f"{parts.path}?{urlencode(query, safe=',.')}"


def _write(kind: str, page: SavedPage, entry: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"kind": kind, "read_at": page.read_at, **entry})
