"""The tables of Blackboard's replica that know something of AI, and the SQL for one of them.

Releases differ and the vendor regroups schemas, so a table is looked for by its name (in the documented
schema first), and only columns that are there are asked for. Never: titles, texts, comments, submissions,
names. Pure: what exists is given. facts/vle.md §1.4; DDA schema documentation 3902.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genai_audit.sources._postgres import quote

FLAG, ACCEPTED_BY = "ai_state", "ai_accepting_user_pk1"
FEEDBACK_FLAG, FEEDBACK_BY = "ai_state_instr_comments", "ai_user_instr_comments"
GRADED = ("last_graded_date", "date_modified", "date_added")
# Columns of all tables with one of these names, as information_schema lists them: only what may be read.
ASK_COLUMNS = (
    "SELECT table_schema::text, table_name::text, column_name::text FROM information_schema.columns"
    " WHERE table_name = ANY(%(tables)s)"
)


@dataclass(frozen=True)
class FlaggedTable:
    """A table with an AI flag. `made` and `changed`: time columns by preference; a table may have none.
    `to_course`: (table, the column that leads to it), one join after the other, then `course`."""

    schema: str
    table: str
    feature: str
    made: tuple[str, ...] = ("dtcreated", "dtmodified")
    changed: tuple[str, ...] = ("dtmodified",)
    course: str = "crsmain_pk1"
    to_course: tuple[tuple[str, str], ...] = ()
    flag: str = FLAG
    person: str = ACCEPTED_BY

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


def _feedback(table: str, *to_course: tuple[str, str]) -> FlaggedTable:
    feature = (
        "Assisted Feedback: group attempt" if table.startswith("group") else "Assisted Feedback: attempt"
    )
    feature += ", staged" if "staged" in table else ""
    path = (*to_course, ("gradebook_main", "gradebook_main_pk1"))
    return FlaggedTable(
        "gradebook", table, feature, GRADED, GRADED, to_course=path, flag=FEEDBACK_FLAG, person=FEEDBACK_BY
    )


FLAGGED = (
    FlaggedTable("crs_content", "course_contents", "AI Design Assistant: content"),
    FlaggedTable("assessment", "qti_asi_data", "AI Design Assistant: question",
                 ("bbmd_date_added", "bbmd_date_modified"), ("bbmd_date_modified",)),
    FlaggedTable("as_core", "rubric", "AI Design Assistant: rubric", course="course_pk1"),
    FlaggedTable("blog", "blogs", "AI Design Assistant: blog or journal",
                 ("entry_modified_date", "update_date"), ("entry_modified_date", "update_date")),
    FlaggedTable("discussionboard", "msg_main", "AI Design Assistant: discussion",
                 to_course=(("forum_main", "forummain_pk1"), ("conference_main", "confmain_pk1"))),
    FlaggedTable("cms", "cms_resource_link", "AI Design Assistant: linked file", (), ()),
    _feedback("attempt", ("gradebook_grade", "gradebook_grade_pk1")),
    _feedback("attempt_staged_grading", ("attempt", "attempt_pk1"),
              ("gradebook_grade", "gradebook_grade_pk1")),
    _feedback("group_attempt"),
    _feedback("group_attempt_staged_grading", ("group_attempt", "group_attempt_pk1")),
)  # fmt: skip
CONVERSATIONS = ("course_messages", "ai_playground_conversation")
QUOTA = ("ai_b2", "ai_playground_model_usage")
ALL_TABLES = sorted(
    {one.table for one in FLAGGED}
    | {step for one in FLAGGED for step, _ in one.to_course}
    | {"users", CONVERSATIONS[1], QUOTA[1]}
)


class Columns:
    """What the account can see: columns by table; of two tables of one name, the documented schema's."""

    def __init__(self, seen: Sequence[tuple[str, str, str]]) -> None:
        self._columns: dict[str, dict[str, set[str]]] = {}
        for schema, table, column in seen:
            self._columns.setdefault(table, {}).setdefault(schema, set()).add(column)

    def find(self, table: str, schema: str = "") -> tuple[str, set[str]] | None:
        """Quoted name and columns; None when there is no such table."""
        schemas = self._columns.get(table, {})
        chosen = next((one for one in (schema, "public", *sorted(schemas)) if one in schemas), None)
        return (quote(chosen, table), schemas[chosen]) if chosen else None


def ask_flagged(one: FlaggedTable, columns: Columns) -> str | None:
    """Rows that carry a flag other than N; takes `since`. None when the table or its flag is not there."""
    found = columns.find(one.table, one.schema)
    if not found or not {"pk1", one.flag} <= found[1]:
        return None
    name, own = found
    made = [f"t.{quote(column)}" for column in one.made if column in own]
    changed = [f"t.{quote(column)}" for column in (*one.made, *one.changed) if column in own]
    joins, course = _find_course(one, columns)
    person, join = _find_person(one.person if one.person in own else None, columns)
    flag = f"t.{quote(one.flag)}"
    at = f"COALESCE({', '.join(made)})" if made else "NULL"
    return (
        f"SELECT t.pk1, {flag} AS flag, {at} AS at,"
        f" {person} AS person, {course} AS course FROM {name} t{join}{joins}"
        f" WHERE {flag} IS NOT NULL AND {flag} <> 'N'"
        + (f" AND COALESCE(GREATEST({', '.join(changed)}) >= %(since)s, TRUE)" if changed else "")
    )


def ask_conversations(columns: Columns) -> str | None:
    """AI Playground conversations begun since `since`. Titles are people's own words: never asked for."""
    found = columns.find(CONVERSATIONS[1], CONVERSATIONS[0])
    if not found or not {"pk1", "users_pk1", "created_at"} <= found[1]:
        return None
    person, join = _find_person("users_pk1", columns)
    more = [f"t.{name}" if name in found[1] else f"NULL AS {name}" for name in ("context_type", "model_name")]
    return (
        f"SELECT t.pk1, t.created_at AS at, {person} AS person, {', '.join(more)} FROM {found[0]} t{join}"
        " WHERE t.created_at >= %(since)s"
    )


def ask_quota(columns: Columns) -> str | None:
    """Today's use of each person and model: a counter that a job sets back every day, without a time."""
    found = columns.find(QUOTA[1], QUOTA[0])
    if not found or not {"pk1", "users_pk1", "usage_count"} <= found[1]:
        return None
    person, join = _find_person("users_pk1", columns)
    model = "t.model_name" if "model_name" in found[1] else "NULL AS model_name"
    return f"SELECT t.pk1, {person} AS person, {model}, t.usage_count FROM {found[0]} t{join}"


def _find_person(column: str | None, columns: Columns) -> tuple[str, str]:
    """Expression and join: the uuid that telemetry knows too, else the id that REST gives (`_123_1`)."""
    if column is None:
        return "NULL", ""
    own_id = f"'_' || t.{quote(column)} || '_1'"
    users = columns.find("users", "as_core")
    if not users or not {"pk1", "uuid"} <= users[1]:
        return own_id, ""
    expression = f"CASE WHEN t.{quote(column)} IS NOT NULL THEN COALESCE(u.uuid, {own_id}) END"
    return expression, f" LEFT JOIN {users[0]} u ON u.pk1 = t.{quote(column)}"


def _find_course(one: FlaggedTable, columns: Columns) -> tuple[str, str]:
    """Joins and expression; no course when a step of the way is not there."""
    here = columns.find(one.table, one.schema)
    joins, alias = "", "t"
    for number, (table, column) in enumerate(one.to_course):
        there = columns.find(table)
        if not here or not there or column not in here[1] or "pk1" not in there[1]:
            return "", "NULL"
        joins += f" LEFT JOIN {there[0]} j{number} ON j{number}.pk1 = {alias}.{quote(column)}"
        here, alias = there, f"j{number}"
    if not here or one.course not in here[1]:
        return "", "NULL"
    return joins, f"'_' || {alias}.{quote(one.course)} || '_1'"
