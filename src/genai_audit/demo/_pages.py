"""Pages of raw records: the stored bytes are spliced into the answer unaltered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from genai_audit.demo._audit_log import AuditLog, Query, RefusedError

_TOKEN = re.compile(r"r(\d+)p(\d+)o(\d+)")


@dataclass(frozen=True)
class Place:
    """Where in a query's records a page begins; as text it is the $skiptoken."""

    read: int
    page: int = 1
    offset: int = 0

    def __str__(self) -> str:
        return f"r{self.read}p{self.page}o{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Place:
        found = _TOKEN.fullmatch(text)
        if not found:
            raise RefusedError(400, "BadRequest", "The skip token is not valid.")
        return cls(*(int(part) for part in found.groups()))


@dataclass(frozen=True)
class Addresses:
    """`context`: the @odata.context. `here`: this page without parameters. `foreign`: the same elsewhere."""

    context: str
    here: str
    foreign: str


def build_page(
    log: AuditLog, query: Query, token: str | None, top: int, addresses: Addresses, number: int
) -> bytes:
    """One page, `top` rows at most, with the page faults that are due."""
    place = Place.parse(token) if token else Place(log.begin_read(query))
    rows = log.rows(query, place.read, number)
    following = Place(place.read, place.page + 1, place.offset + top)
    shown = rows[place.offset : following.offset]
    after = following if following.offset < len(rows) else None
    address, has_value = addresses.here, True
    for fault in _due(log, place, number):
        if fault == "empty_page_with_next_link":
            shown, after = [], Place(place.read, place.page + 1, place.offset)
        elif fault == "looping_next_link":
            after = place
        elif fault == "foreign_next_link":
            after, address = after or following, addresses.foreign
        else:
            has_value = False
    head = {"@odata.context": addresses.context, "@odata.count": len(rows)}
    if after:
        link = urlencode({"$top": top, "$skiptoken": str(after)}, safe="$")
        head["@odata.nextLink"] = f"{address}?{link}"
    text = json.dumps(head).encode()
    return text[:-1] + b',"value":[' + b",".join(shown) + b"]}" if has_value else text


def _due(log: AuditLog, place: Place, number: int) -> list[str]:
    """The page faults that hit this place, noted in the log of faults."""
    faults = log.faults
    due = ["empty_page_with_next_link"] if place.page == faults.empty_page_with_next_link else []
    if place.page == faults.fault_page:
        names = ("looping_next_link", "foreign_next_link", "page_without_value")
        due += [name for name in names if place.read <= getattr(faults, name)]
    for name in due:
        log.counter.hit(name, "records", number)
    return due
