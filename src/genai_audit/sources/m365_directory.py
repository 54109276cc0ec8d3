"""People of the Microsoft Entra directory as they are today: one dated snapshot a day.

Contains: for every account its object id, user principal name, department, job title, employee type, whether
it is a guest, whether it is enabled, and, when you name your Copilot licences in the options, whether it has
one. From these come role, school and the periods in which they held.

Does not contain: names, mail addresses, telephone numbers, managers, groups or any other licence (they are
not asked for); people who left before the first snapshot; how things were before it. A department is what
somebody typed into the directory: it becomes a unit only if the register of units has its id or its name.
An account without an employee type has the role `unknown`: nothing says whether it is a student's.

One list of /users, 999 a page (facts/m365.md §5). The usage report is no authority on licences; this is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import orjson

from genai_audit.calendars import Window
from genai_audit.registry import RawPage, RecordIdentity, Source, SourceContext
from genai_audit.settings import SourceOptions

PERMISSION = "User.Read.All"
KEPT = ("id", "userPrincipalName", "department", "jobTitle", "employeeType", "userType", "accountEnabled")
PAGE_USERS = 999  # the most that the service gives
NOBODY = "the directory showed nobody: an empty directory proves nothing"


class DirectoryOptions(SourceOptions):
    """Without SKU ids nobody's licences are asked for, and has_copilot_licence stays empty."""

    copilot_sku_ids: tuple[str, ...] = ()  # GUIDs of the licences that include Microsoft 365 Copilot


def pull(window: Window, context: SourceContext) -> Iterator[RawPage]:
    """All users, page by page, reduced to what is needed; the last page carries the facts.

    A list that breaks off is `partial`, and the day is asked for again. Raises SourceUnavailableError,
    PermissionMissingError or ConfigurationError if nobody came.
    """
    from genai_audit.sources._graph_lists import GraphList, stream_lists  # the SDK loads slowly

    skus = frozenset(sku.strip().lower() for sku in getattr(context.options, "copilot_sku_ids", ()))
    query = {
        "$select": ",".join((*KEPT, "assignedLicenses") if skus else KEPT),
        "$top": str(PAGE_USERS),
    }
    users = GraphList("/users", query, pick=partial(reduce_user, skus=skus))
    return stream_lists([users], context, PERMISSION, empty=NOBODY)


def reduce_user(raw: bytes, value: Any, *, skus: frozenset[str]) -> bytes:
    """The user without licences, but for one yes or no (null: not known)."""
    if not isinstance(value, dict):
        return raw  # landing sets it aside with a reason
    kept = {name: value.get(name) for name in KEPT}
    return orjson.dumps(kept | {"hasCopilotLicence": find_licence(value.get("assignedLicenses"), skus)})


def find_licence(licences: Any, skus: frozenset[str]) -> bool | None:
    """Is one of these SKUs among the licences? None when nobody said which, or no list came."""
    if not skus or not isinstance(licences, list):
        return None
    return any(str(one.get("skuId")).lower() in skus for one in licences if isinstance(one, dict))


def identify(record: dict[str, Any]) -> RecordIdentity:
    """The object id, without a time: a snapshot has that of its window."""
    found = record.get("id")
    return RecordIdentity(found if isinstance(found, str) and found else None, None)


SOURCE = Source(
    title="Microsoft Entra directory",
    family="directory",
    base_table="stg_directory_snapshot",
    identify=identify,
    needs=(PERMISSION,),
    lag=timedelta(days=1),
    unproven_when="the directory shows nobody",
    pull=pull,
    options=DirectoryOptions,
    is_snapshot=True,
)
