-- Labels of a catalogue snapshot (facts/m365.md §5). In: line. Out: stg_label_catalogue, stg_parse_problem.

CREATE OR REPLACE TEMP TABLE label AS
SELECT line_no, unnest(TRY(from_json(line, '{"id": "VARCHAR", "name": "VARCHAR", "displayName": "VARCHAR",
  "parentId": "VARCHAR", "priority": "VARCHAR", "hasProtection": "VARCHAR"}')))
FROM line;

CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE TEMP TABLE stg_label_catalogue AS
SELECT
  strftime(read_time(getvariable('collected_at')), '%Y-%m-%d') || ':' || safe_id(lower(text_of(id))) AS record_id,
  read_time(getvariable('collected_at')) AS occurred_at, uk_day(read_time(getvariable('collected_at'))) AS occurred_day,
  safe_id(lower(text_of(id))) AS label_id,
  safe_word(coalesce(text_of(displayName), text_of(name), 'label without a name')) AS label_name,
  safe_id(lower(text_of(parentId))) AS parent_label_id, TRY_CAST(priority AS INTEGER) AS priority,
  TRY_CAST(hasProtection AS BOOLEAN) AS has_protection,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM label
WHERE text_of(id) IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM label WHERE text_of(id) IS NULL
  UNION ALL SELECT line_no, 'no_priority' FROM label WHERE TRY_CAST(priority AS INTEGER) IS NULL
)
ORDER BY line_no, problem;
