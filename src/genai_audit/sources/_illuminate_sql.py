"""What is asked of Illuminate. Explicit columns only: no name, address, title, IP or device is ever selected.

Dimensions are joined from the left: entities that were made and deleted within a day never reach CDM_LMS,
although their clicks do, and items without AI have no person (facts/vle.md §1.2). Every dimension is reduced
to one row a key first, so that no join multiplies; one whose table is missing is an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

EVENTS, ITEMS = "CDM_TLM.ULTRA_EVENTS", "CDM_LMS.COURSE_ITEM"

TABLES = (
    "SELECT TABLE_SCHEMA || '.' || TABLE_NAME AS NAME FROM INFORMATION_SCHEMA.TABLES"
    " WHERE TABLE_SCHEMA IN ('CDM_TLM', 'CDM_LMS')"
)
CLOCK = "SELECT SYSDATE() AS NOW"
ARRIVED = (
    "SELECT COUNT(*) AS ARRIVED FROM CDM_TLM.ULTRA_EVENTS"
    " WHERE ROW_INSERTED_TIME >= %(start)s AND ROW_INSERTED_TIME < %(end)s"
)

# Name of the dimension -> its tables, and its columns, then the query that gives one row a key.
_DIMENSIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "person": (("PERSON",), ("ID", "UUID"), """
      SELECT ID, STAGE:uuid::string AS UUID FROM CDM_LMS.PERSON WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY STAGE:uuid::string ORDER BY ID DESC) = 1"""),
    "person_by_id": (("PERSON",), ("ID", "UUID"), """
      SELECT ID, STAGE:uuid::string AS UUID FROM CDM_LMS.PERSON WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY ID) = 1"""),
    "course": (("COURSE",), ("ID", "CONTEXT_ID", "TERM_ID"), """
      SELECT ID, '_' || SOURCE_ID || '_1' AS CONTEXT_ID, TERM_ID FROM CDM_LMS.COURSE
      WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY SOURCE_ID ORDER BY ID DESC) = 1"""),
    "course_by_id": (("COURSE",), ("ID", "CONTEXT_ID", "TERM_ID"), """
      SELECT ID, '_' || SOURCE_ID || '_1' AS CONTEXT_ID, TERM_ID FROM CDM_LMS.COURSE
      WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY ID) = 1"""),
    "term": (("TERM",), ("ID", "NAME"), """
      SELECT ID, NAME FROM CDM_LMS.TERM WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY ID ORDER BY NAME) = 1"""),
    "enrolment": (("PERSON_COURSE",), ("PERSON_ID", "COURSE_ID", "COURSE_ROLE"), """
      SELECT PERSON_ID, COURSE_ID, COURSE_ROLE FROM CDM_LMS.PERSON_COURSE WHERE ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (PARTITION BY PERSON_ID, COURSE_ID ORDER BY ID DESC) = 1"""),
    "node": (("INSTITUTION_HIERARCHY", "INSTITUTION_HIERARCHY_COURSE"), ("COURSE_ID", "NAME"), """
      SELECT place.COURSE_ID, hierarchy.NAME FROM CDM_LMS.INSTITUTION_HIERARCHY_COURSE place
      LEFT JOIN CDM_LMS.INSTITUTION_HIERARCHY hierarchy
        ON hierarchy.ID = place.INSTITUTION_HIERARCHY_ID AND hierarchy.ROW_DELETED_TIME IS NULL
      WHERE place.ROW_DELETED_TIME IS NULL
      QUALIFY ROW_NUMBER() OVER (
        PARTITION BY place.COURSE_ID ORDER BY place.PRIMARY_IND DESC NULLS LAST, hierarchy.NAME) = 1"""),
}  # fmt: skip  # noqa: RUF100
DIMENSION_TABLES = tuple(
    sorted({f"CDM_LMS.{table}" for tables, _, _ in _DIMENSIONS.values() for table in tables})
)

_EVENT = """event AS (
  SELECT COALESCE(DATA:eventId::string, 'none:' || COALESCE(EVENT_TIME::string, '') || ':'
      || COALESCE(DATA:userId::string, '') || ':' || DATA:objectId::string) AS EVENT_KEY,
    EVENT_TIME, DATA:userId::string AS USER_UUID, DATA:objectId::string AS OBJECT_ID,
    CASE WHEN UPPER(DATA:contextType::string) = 'COURSE' THEN DATA:contextId::string END AS CONTEXT_ID,
    COALESCE(LOWER(DATA:interactionUrl::string) LIKE '%%create%%', FALSE) AS IS_CREATING
  FROM CDM_TLM.ULTRA_EVENTS
  WHERE ROW_INSERTED_TIME >= %(start)s AND ROW_INSERTED_TIME < %(end)s AND ({object_ids})
  QUALIFY ROW_NUMBER() OVER (PARTITION BY EVENT_KEY ORDER BY EVENT_TIME) = 1)"""
_EVENTS = """
SELECT event.EVENT_KEY, event.EVENT_TIME, event.USER_UUID, event.OBJECT_ID, event.CONTEXT_ID,
  event.IS_CREATING, person.ID IS NOT NULL AS IS_PERSON_KNOWN, course.ID IS NOT NULL AS IS_COURSE_KNOWN,
  enrolment.COURSE_ROLE, term.NAME AS TERM_NAME, node.NAME AS SCHOOL
FROM event
LEFT JOIN person ON person.UUID = event.USER_UUID
LEFT JOIN course ON course.CONTEXT_ID = event.CONTEXT_ID
LEFT JOIN enrolment ON enrolment.PERSON_ID = person.ID AND enrolment.COURSE_ID = course.ID
LEFT JOIN term ON term.ID = course.TERM_ID
LEFT JOIN node ON node.COURSE_ID = course.ID"""

_IS_AI = "AI_STATUS IS NOT NULL AND AI_STATUS <> 'N'"
_ITEM = f"""item AS (
  SELECT ID, COURSE_ID, PERSON_ID, ITEM_TYPE, AI_STATUS, CREATED_TIME,
    COALESCE(ITEM_TYPE = 'TEST_QUESTION' AND STAGE:bbmd_questiontype::string = '21', FALSE) AS IS_CONVERSATION
  FROM CDM_LMS.COURSE_ITEM
  WHERE ROW_DELETED_TIME IS NULL
    AND COALESCE(MODIFIED_TIME, CREATED_TIME) >= %(start)s AND COALESCE(MODIFIED_TIME, CREATED_TIME) < %(end)s
    AND ({_IS_AI} OR (ITEM_TYPE = 'TEST_QUESTION' AND STAGE:bbmd_questiontype::string = '21')))"""
_ITEMS = """
SELECT item.ID, item.ITEM_TYPE, item.AI_STATUS, item.CREATED_TIME, item.IS_CONVERSATION, item.PERSON_ID,
  person_by_id.UUID AS USER_UUID, course.CONTEXT_ID, term.NAME AS TERM_NAME, node.NAME AS SCHOOL
FROM item
LEFT JOIN person_by_id ON person_by_id.ID = item.PERSON_ID
LEFT JOIN course_by_id course ON course.ID = item.COURSE_ID
LEFT JOIN term ON term.ID = course.TERM_ID
LEFT JOIN node ON node.COURSE_ID = item.COURSE_ID"""

_TOTAL = f"""total AS (
  SELECT COURSE_ID, COUNT(*) AS ITEMS, COUNT_IF({_IS_AI}) AS AI_ITEMS FROM CDM_LMS.COURSE_ITEM
  WHERE ROW_DELETED_TIME IS NULL AND COURSE_ID IS NOT NULL GROUP BY COURSE_ID)"""
_TOTALS = """
SELECT total.COURSE_ID, total.ITEMS, total.AI_ITEMS, course.CONTEXT_ID, term.NAME AS TERM_NAME,
  node.NAME AS SCHOOL
FROM total
LEFT JOIN course_by_id course ON course.ID = total.COURSE_ID
LEFT JOIN term ON term.ID = course.TERM_ID
LEFT JOIN node ON node.COURSE_ID = total.COURSE_ID"""


def ask_events(patterns: Sequence[str], tables: Collection[str]) -> tuple[str, dict[str, str]]:
    """The query for clicks whose object id fits a pattern (* stands for anything), and its values."""
    values = {f"pattern_{place}": to_like(pattern) for place, pattern in enumerate(patterns)}
    tests = " OR ".join(f"DATA:objectId::string ILIKE %({name})s" for name in values)
    parts = ("person", "course", "enrolment", "term", "node")
    return _assemble(_EVENT.replace("{object_ids}", tests), parts, tables) + _EVENTS, values


def ask_items(tables: Collection[str]) -> str:
    """AI-flagged items, and questions that are AI Conversations, made or changed in the window."""
    return _assemble(_ITEM, ("person_by_id", "course_by_id", "term", "node"), tables) + _ITEMS


def ask_totals(tables: Collection[str]) -> str:
    """Items of each course as they are now: with AI, and all of them. Takes no values."""
    return _assemble(_TOTAL, ("course_by_id", "term", "node"), tables) + _TOTALS


def to_like(pattern: str) -> str:
    """A pattern of the register as ILIKE reads it, or a wider one: each row is looked at again."""
    return re.sub(r"\*|\[.*?\]", "%", pattern.replace("%", "_")).replace("?", "_")


def _assemble(first: str, names: Sequence[str], tables: Collection[str]) -> str:
    texts = [first]
    for name in names:
        needed, columns, query = _DIMENSIONS[name]
        if any(f"CDM_LMS.{table}" not in tables for table in needed):
            query = f" SELECT {', '.join(f'NULL::string AS {column}' for column in columns)} WHERE FALSE"
        texts.append(f"{name} AS ({query})")
    return "WITH " + ",\n".join(texts)
