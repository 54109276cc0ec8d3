-- What we did not expect: unknown keys (by name and count, never a value) and records that can't be used fully.
-- In: shape, rebuilt_shape, odd_line, rebuilt, record, access, policy_outcome. Out: field_count, stg_parse_problem.

INSERT INTO field_count
SELECT record_type, field_name, count(*)
FROM (
  SELECT unnest(list_concat(
      list_filter(keys[1], lambda one: NOT list_contains(getvariable('known_keys'), one)),
      [('CopilotEventData.' || one) for one in keys[2] if NOT list_contains(getvariable('known_copilot_keys'), one)])) AS field_name,
    line_nos
  FROM (SELECT * FROM shape WHERE is_flat(keys) UNION ALL SELECT * FROM rebuilt_shape)
), LATERAL (SELECT unnest(line_nos) AS line_no)
JOIN record USING (line_no)
GROUP BY ALL;

-- A list that is there but has another type reads as NULL: nothing may be lost without a word.
CREATE OR REPLACE TEMP TABLE suspect AS
SELECT line_no, event IS NULL AS no_event, event.Messages IS NULL AS no_messages, event.AccessedResources IS NULL AS no_resources
FROM (SELECT line_no, body.CopilotEventData AS event FROM record WHERE record_type IN (261, 284, 328, 334))
WHERE no_event OR no_messages OR no_resources;
CREATE OR REPLACE TEMP TABLE suspect_type AS
SELECT line_no, json_type(line, ['$.auditData.CopilotEventData', '$.auditData.CopilotEventData.Messages',
  '$.auditData.CopilotEventData.AccessedResources']) AS types
FROM (FROM line ANTI JOIN odd_line USING (line_no) UNION ALL SELECT line_no, line FROM rebuilt) SEMI JOIN suspect USING (line_no);

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
    WHERE no_event AND types[1] <> 'NULL' OR no_messages AND types[2] <> 'NULL' OR no_resources AND types[3] <> 'NULL'
)
ORDER BY line_no, problem;
