-- Which layout does each line have? In: line(line_no, line). Out: shape (keys, and the lines that have them),
-- wrapped_line, odd_line, rebuilt (odd lines written anew as {"id", "createdDateTime", …, "auditData": {flat body}}),
-- agent_line (changes of agents, which only their keys tell).

-- Lines with the same keys form one shape: rules about keys are then worked out once a shape, not once a line.
CREATE OR REPLACE MACRO has_odd_spelling(body_keys, event_keys) AS coalesce(list_bool_or([
  list_contains(getvariable('needed_small'), lower(one)) AND NOT list_contains(getvariable('needed_keys'), one)
  for one in list_concat(body_keys, event_keys)]), false);
CREATE OR REPLACE TEMP TABLE shape AS
SELECT line_nos, body_keys, event_keys,
  CASE WHEN coalesce(len(body_keys), 0) = 0 OR has_odd_spelling(body_keys, event_keys) THEN 'odd'
    WHEN is_wrapped THEN 'wrapped' ELSE 'flat' END AS layout
FROM (
  SELECT line_nos, list_contains(keys[1], 'dynamicProperties') AS is_wrapped,
    CASE WHEN is_wrapped THEN keys[3] ELSE keys[1] END AS body_keys, CASE WHEN is_wrapped THEN keys[4] ELSE keys[2] END AS event_keys
  FROM (
    SELECT first(keys) AS keys, list(line_no) AS line_nos
    FROM (
      SELECT line_no, TRY(json_keys(line, ['$.auditData', '$.auditData.CopilotEventData', '$.auditData.dynamicProperties',
        '$.auditData.dynamicProperties.CopilotEventData'])) AS keys
      FROM line
    ) GROUP BY hash(keys)
  )
);
CREATE OR REPLACE TEMP TABLE special_line AS SELECT unnest(line_nos) AS line_no, layout FROM shape WHERE layout <> 'flat';
CREATE OR REPLACE TEMP TABLE wrapped_line AS SELECT line_no FROM special_line WHERE layout = 'wrapped';
CREATE OR REPLACE TEMP TABLE odd_line AS
SELECT line_no, line FROM line SEMI JOIN (FROM special_line WHERE layout = 'odd') USING (line_no);

-- The body, wherever it is (facts/m365.md §1.4): in auditData or AuditData, there perhaps as a JSON string, perhaps
-- under dynamicProperties; else the record itself. A body that can't be read leaves the outer columns.
CREATE OR REPLACE TEMP TABLE rebuilt AS
SELECT line_no, body IS NOT NULL AS is_readable, concat(
    '{"id":', coalesce(part[1], part[2], 'null'), ',"createdDateTime":', coalesce(part[3], part[4], 'null'),
    ',"auditLogRecordType":', coalesce(part[5], part[6], 'null'), ',"operation":', coalesce(part[7], part[8], 'null'),
    ',"userId":', coalesce(part[9], part[10], 'null'), ',"userPrincipalName":', coalesce(part[11], 'null'),
    ',"userType":', coalesce(part[12], 'null'), ',"service":', coalesce(part[13], 'null'),
    ',"objectId":', coalesce(part[14], 'null'), ',"auditData":', coalesce(body, '{}'), '}') AS line
FROM (
  SELECT line_no, part, CASE WHEN TRY(json_type(found)) IS DISTINCT FROM 'OBJECT' THEN NULL
    WHEN json_type(found, '$.dynamicProperties') = 'OBJECT' THEN found -> '$.dynamicProperties' ELSE found END AS body
  FROM (
    SELECT line_no, part, CASE WHEN starts_with(found, '"') THEN found::JSON ->> '$' ELSE found END AS found
    FROM (
      SELECT line_no, part, coalesce(part[15], part[16], line)::VARCHAR AS found
      FROM (
        SELECT line_no, line, json_extract(line, ['$.id', '$.RecordId', '$.createdDateTime', '$.CreationDate',
          '$.auditLogRecordType', '$.RecordType', '$.operation', '$.Operation', '$.userId', '$.UserId', '$.userPrincipalName',
          '$.userType', '$.service', '$.objectId', '$.auditData', '$.AuditData']) AS part
        FROM odd_line
        WHERE TRY(json_type(line)) = 'OBJECT'
      )
    )
  )
);
CREATE OR REPLACE TEMP TABLE rebuilt_shape AS
SELECT list(line_no) AS line_nos, first(keys)[1] AS body_keys, first(keys)[2] AS event_keys
FROM (SELECT line_no, json_keys(line, ['$.auditData', '$.auditData.CopilotEventData']) AS keys FROM rebuilt)
GROUP BY hash(keys);
CREATE OR REPLACE TEMP TABLE agent_line AS
SELECT unnest(line_nos) AS line_no FROM (FROM shape WHERE layout <> 'odd' UNION ALL BY NAME FROM rebuilt_shape)
WHERE is_agent_change(body_keys);

-- Other capitals in needed keys: best effort, a key at a time, only in the lines that have them.
UPDATE rebuilt SET line = list_reduce(getvariable('needed_keys'),
    lambda text, needed: regexp_replace(text, '"' || needed || '"\s*:', '"' || needed || '":', 'gi'), line)
WHERE line_no IN (SELECT unnest(line_nos) FROM rebuilt_shape WHERE has_odd_spelling(body_keys, event_keys));
