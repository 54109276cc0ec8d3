-- Courses and memberships of Blackboard (facts/vle.md §1.5). In: line. Out: stg_vle_dimension (a row for each record),
-- stg_vle_course, stg_vle_membership, stg_parse_problem. A course is a state of a day, so its id carries the day on which
-- it was read; a membership is kept once for each role, with the day on which it was seen first.

CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE TEMP TABLE entry AS
SELECT line_no, text_of(kind) AS kind, read_time(coalesce(read_at, getvariable('collected_at'))) AS occurred_at,
  text_of(id) AS id, text_of("courseId") AS course_id, text_of("externalId") AS external_id, text_of(term_name) AS term_name,
  uk_day(read_time(term_start)) AS term_start, uk_day(read_time(term_end)) AS term_end,
  text_of(hierarchy[school_level]) AS school, text_of("userId") AS user_id,
  coalesce(text_of("user.uuid"), text_of("userId")) AS person, text_of("courseRoleId") AS course_role
FROM (
  SELECT line_no, unnest(TRY(from_json(line, '{"kind": "VARCHAR", "read_at": "VARCHAR", "id": "VARCHAR", "courseId": "VARCHAR",
    "externalId": "VARCHAR", "term_name": "VARCHAR", "term_start": "VARCHAR", "term_end": "VARCHAR", "hierarchy": ["VARCHAR"],
    "school_level": "INTEGER", "userId": "VARCHAR", "user.uuid": "VARCHAR", "courseRoleId": "VARCHAR"}')))
  FROM line
);

CREATE OR REPLACE TEMP TABLE membership AS
SELECT *, concat_ws('|', course_id, user_id, course_role) AS membership_name
FROM entry WHERE kind = 'membership' AND course_id IS NOT NULL AND user_id IS NOT NULL;
CREATE OR REPLACE TEMP TABLE course AS SELECT * FROM entry WHERE kind = 'course' AND id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE name AS
SELECT domain, name FROM (
  SELECT DISTINCT 'course' AS domain, unnest([id, course_id, external_id]) AS name FROM course
  UNION SELECT 'course', course_id FROM membership
  UNION ALL SELECT DISTINCT 'person', person FROM membership
  UNION ALL SELECT DISTINCT 'object', membership_name FROM membership
) WHERE name IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_vle_course AS
SELECT
  strftime(occurred_at, '%Y-%m-%d') || ':course:' || safe_id(id) AS record_id, occurred_at, uk_day(occurred_at) AS occurred_day,
  own.token AS course_key, number.token AS course_number_key, batch.token AS course_batch_key,
  safe_word(term_name) AS term_name, term_start, term_end, safe_word(school) AS school,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM course
LEFT JOIN token AS own ON own.domain = 'course' AND own.name = id
LEFT JOIN token AS number ON number.domain = 'course' AND number.name = course_id
LEFT JOIN token AS batch ON batch.domain = 'course' AND batch.name = external_id
ORDER BY line_no;

-- Roles as Learn ships them; what a university has added is 'other'.
CREATE OR REPLACE TEMP TABLE stg_vle_membership AS
SELECT
  object.token AS record_id, occurred_at, uk_day(occurred_at) AS occurred_day, course_token.token AS course_key,
  person_token.token AS person_key,
  CASE WHEN course_role = 'Student' THEN 'student' WHEN course_role = 'Guest' THEN 'guest'
    WHEN course_role IN ('Instructor', 'TeachingAssistant', 'CourseBuilder', 'Grader') THEN 'staff' ELSE 'other' END AS actor_role,
  safe_word(course_role) AS course_role,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM membership
JOIN token AS object ON object.domain = 'object' AND object.name = membership_name
JOIN token AS course_token ON course_token.domain = 'course' AND course_token.name = course_id
JOIN token AS person_token ON person_token.domain = 'person' AND person_token.name = person
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_vle_dimension AS
SELECT record_id, occurred_at, occurred_day, dimension, source, package_id, line_no FROM (
  SELECT *, 'course' AS dimension FROM stg_vle_course
  UNION ALL BY NAME SELECT *, 'membership' AS dimension FROM stg_vle_membership
)
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'unknown_kind' AS problem FROM entry WHERE coalesce(kind NOT IN ('course', 'membership'), true)
  UNION ALL SELECT line_no, 'no_record_id' FROM entry
    WHERE kind = 'course' AND id IS NULL OR kind = 'membership' AND (course_id IS NULL OR user_id IS NULL)
  UNION ALL SELECT line_no, 'no_role' FROM membership WHERE course_role IS NULL
)
ORDER BY line_no, problem;
