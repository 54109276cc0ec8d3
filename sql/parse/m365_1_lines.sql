-- From landed lines to lines of one layout: {"id", "createdDateTime", …, "auditData": {flat body}}.
-- In: line(line_no, line). Out: shape (which keys occur in which lines), rebuilt (the lines that had another layout).

-- Lines with the same keys form one shape: rules about keys are then worked out once a shape, not once a line.
CREATE OR REPLACE TEMP TABLE shape AS
SELECT first(keys) AS keys, list(line_no) AS line_nos
FROM (SELECT line_no, TRY(json_keys(line, ['$.auditData', '$.auditData.CopilotEventData'])) AS keys FROM line)
GROUP BY hash(keys);

CREATE OR REPLACE MACRO has_odd_spelling(keys) AS coalesce(list_bool_or([
  list_contains([lower(needed) for needed in getvariable('needed_keys')], lower(one))
    AND NOT list_contains(getvariable('needed_keys'), one)
  for one in list_concat(keys[1], keys[2])]), false);
CREATE OR REPLACE MACRO is_flat(keys) AS coalesce(
  len(keys[1]) > 0 AND NOT list_contains(keys[1], 'dynamicProperties') AND NOT has_odd_spelling(keys), false);

CREATE OR REPLACE TEMP TABLE odd_line AS SELECT unnest(line_nos) AS line_no FROM shape WHERE NOT is_flat(keys);

-- The body as an object, wherever it is (facts/m365.md §1.4): auditData or AuditData, flat, under dynamicProperties,
-- or as a JSON string; else the record itself is the body. NULL: a body is announced and can't be read.
CREATE OR REPLACE MACRO find_body(line) AS CASE
  WHEN json_exists(line, '$.auditData') THEN open_object(line -> '$.auditData')
  WHEN json_exists(line, '$.AuditData') THEN open_object(line -> '$.AuditData')
  ELSE line END;
CREATE OR REPLACE MACRO unwrap(body) AS CASE WHEN json_type(body, '$.dynamicProperties') = 'OBJECT'
  THEN json_merge_patch(body::JSON, (body -> '$.dynamicProperties')::JSON)::VARCHAR ELSE body END;

CREATE OR REPLACE TEMP TABLE rebuilt AS
SELECT line_no, body IS NOT NULL AS is_readable, json_object(
    'id', coalesce(line ->> '$.id', line ->> '$.RecordId'),
    'createdDateTime', coalesce(line ->> '$.createdDateTime', line ->> '$.CreationDate'),
    'auditLogRecordType', coalesce(line ->> '$.auditLogRecordType', line ->> '$.RecordType'),
    'operation', coalesce(line ->> '$.operation', line ->> '$.Operation'),
    'userType', line ->> '$.userType',
    'userId', coalesce(line ->> '$.userId', line ->> '$.UserId'),
    'userPrincipalName', line ->> '$.userPrincipalName',
    'service', line ->> '$.service',
    'objectId', line ->> '$.objectId',
    'auditData', coalesce(body, '{}')::JSON)::VARCHAR AS line
FROM (
  SELECT line_no, line, unwrap(find_body(line)) AS body
  FROM line SEMI JOIN odd_line USING (line_no)
  WHERE json_valid(line) AND json_type(line) = 'OBJECT'
);

CREATE OR REPLACE TEMP TABLE rebuilt_shape AS
SELECT first(keys) AS keys, list(line_no) AS line_nos
FROM (SELECT line_no, json_keys(line, ['$.auditData', '$.auditData.CopilotEventData']) AS keys FROM rebuilt)
GROUP BY hash(keys);

-- Other capitals in needed keys: best effort, a key at a time, only in the lines that have them.
UPDATE rebuilt SET line = list_reduce(getvariable('needed_keys'),
    lambda text, needed: regexp_replace(text, '"' || needed || '"\s*:', '"' || needed || '":', 'gi'), line)
WHERE line_no IN (SELECT unnest(line_nos) FROM rebuilt_shape WHERE has_odd_spelling(keys));
