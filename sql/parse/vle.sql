-- Rows that a column map made of a VLE export (facts/vle.md §3). In: line. Out: stg_vle_use, stg_parse_problem.
-- Kinds of record are kept apart by record_kind and are never added together.

CREATE OR REPLACE TEMP TABLE use AS
SELECT line_no, unnest(TRY(from_json(line, '{"record_id": "VARCHAR", "occurred_at": "VARCHAR", "record_kind": "VARCHAR",
  "actor": "VARCHAR", "actor_role": "VARCHAR", "course": "VARCHAR", "school": "VARCHAR", "term": "VARCHAR", "feature": "VARCHAR",
  "tool": "VARCHAR", "outcome": "VARCHAR", "action": "VARCHAR", "quantity": "VARCHAR", "base_quantity": "VARCHAR"}')))
FROM line;

CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE MACRO word_of(value) AS safe_word(text_of(value));
CREATE OR REPLACE TEMP TABLE name AS
SELECT domain, name FROM (
  SELECT DISTINCT 'person' AS domain, text_of(actor) AS name FROM use
  UNION ALL SELECT DISTINCT 'course', text_of(course) FROM use
  UNION ALL SELECT DISTINCT 'object', text_of(action) FROM use
) WHERE name IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_vle_use AS
SELECT
  safe_id(text_of(record_id)) AS record_id, lower(word_of(record_kind)) AS record_kind,
  read_time(use.occurred_at) AS occurred_at, uk_day(read_time(use.occurred_at)) AS occurred_day,
  person.token AS person_key, word_of(actor_role) AS actor_role, course_token.token AS course_key, word_of(school) AS school,
  word_of(term) AS term_name, word_of(feature) AS feature, word_of(tool) AS tool_name, word_of(outcome) AS outcome,
  action_token.token AS action_key,
  TRY_CAST(quantity AS BIGINT) AS quantity, TRY_CAST(base_quantity AS BIGINT) AS base_quantity,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM use
LEFT JOIN token AS person ON person.domain = 'person' AND person.name = text_of(actor)
LEFT JOIN token AS course_token ON course_token.domain = 'course' AND course_token.name = text_of(course)
LEFT JOIN token AS action_token ON action_token.domain = 'object' AND action_token.name = text_of(action)
WHERE text_of(record_id) IS NOT NULL AND read_time(use.occurred_at) IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM use WHERE text_of(record_id) IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM use WHERE read_time(occurred_at) IS NULL
  UNION ALL SELECT line_no, 'unknown_kind' FROM use
    WHERE coalesce(lower(text_of(record_kind)) NOT IN ('artefact', 'interaction', 'quota_counter', 'aggregate'), true)
  UNION ALL SELECT line_no, 'not_a_number' FROM use
    WHERE text_of(quantity) IS NOT NULL AND TRY_CAST(quantity AS BIGINT) IS NULL
      OR text_of(base_quantity) IS NOT NULL AND TRY_CAST(base_quantity AS BIGINT) IS NULL
)
ORDER BY line_no, problem;
