-- What we did not expect: unknown keys (by name and count, never a value) and records that can't be used fully.
-- In: line, shape, rebuilt_shape, odd_line, rebuilt, record, access, policy_outcome. Out: field_count, stg_parse_problem.

INSERT INTO field_count
SELECT record_type, field_name, count(*)
FROM (
  SELECT unnest(list_concat(
      list_filter(body_keys, lambda one: NOT list_contains(getvariable('known_keys'), one)),
      [('CopilotEventData.' || one) for one in event_keys if NOT list_contains(getvariable('known_copilot_keys'), one)])) AS field_name,
    line_nos
  FROM (SELECT * EXCLUDE (layout) FROM shape WHERE layout <> 'odd' UNION ALL SELECT * FROM rebuilt_shape)
), LATERAL (SELECT unnest(line_nos) AS line_no)
JOIN record USING (line_no)
GROUP BY ALL;

-- A list that is there but has another type reads as NULL: nothing may be lost without a word.
CREATE OR REPLACE TEMP TABLE suspect AS
SELECT line_no, has_no_event, has_no_messages, resources IS NULL AS has_no_resources
FROM record WHERE record_type IN (261, 284, 328, 334) AND (has_no_event OR has_no_messages OR has_no_resources);
CREATE OR REPLACE TEMP TABLE suspect_type AS
SELECT line_no, list_resize(types, 3) AS flat, types[4:6] AS wrapped
FROM (
  SELECT line_no, json_type(line, ['$.auditData.CopilotEventData', '$.auditData.CopilotEventData.Messages',
    '$.auditData.CopilotEventData.AccessedResources', '$.auditData.dynamicProperties.CopilotEventData',
    '$.auditData.dynamicProperties.CopilotEventData.Messages',
    '$.auditData.dynamicProperties.CopilotEventData.AccessedResources']) AS types
  FROM (FROM line ANTI JOIN odd_line USING (line_no) UNION ALL SELECT line_no, line FROM rebuilt) SEMI JOIN suspect USING (line_no)
);

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'unreadable_line' AS problem FROM odd_line ANTI JOIN rebuilt USING (line_no)
  UNION ALL SELECT line_no, 'unreadable_body' FROM rebuilt WHERE NOT is_readable
  UNION ALL SELECT line_no, 'no_record_id' FROM record WHERE record_id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM record WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'no_record_type' FROM record WHERE record_type IS NULL
  UNION ALL SELECT DISTINCT line_no, 'policy_details_anomaly' FROM access JOIN policy_outcome USING (policy_details) WHERE has_anomaly
  UNION ALL SELECT line_no, 'unexpected_type' FROM suspect JOIN suspect_type USING (line_no)
    WHERE has_no_event AND coalesce(wrapped[1], flat[1]) <> 'NULL' OR has_no_messages AND coalesce(wrapped[2], flat[2]) <> 'NULL'
      OR has_no_resources AND coalesce(wrapped[3], flat[3]) <> 'NULL'
)
ORDER BY line_no, problem;
