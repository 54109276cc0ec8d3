-- Events of managed devices at AI domains (facts/m365.md §5). In: line. Out: stg_external_use, stg_parse_problem.
-- Only a host is landed, never a whole address. An account of zeros or none is a service of the device: nobody.

CREATE OR REPLACE TEMP TABLE event AS
SELECT line_no, tables, filled(id) AS id, read_time(seen_at) AS occurred_at, action,
  filled(regexp_extract(lower(trim(host)), '^(?:www\.)?([a-z0-9.-]+)$', 1)) AS host,
  CASE WHEN account <> '00000000-0000-0000-0000-000000000000' THEN filled(account) END AS account
FROM (
  SELECT line_no, one."table" AS tables, one.RecordId AS id, one."Timestamp" AS seen_at, one.AccountObjectId AS account,
    one.Host AS host, one.ActionType AS action
  FROM (
    SELECT line_no, TRY(from_json(line, '{"table": "VARCHAR", "RecordId": "VARCHAR", "Timestamp": "VARCHAR",
      "AccountObjectId": "VARCHAR", "Host": "VARCHAR", "ActionType": "VARCHAR"}')) AS one
    FROM line
  )
);

CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT 'person' AS domain, account AS name FROM event WHERE account IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_external_use AS
SELECT
  safe_id(coalesce(tables, '') || ':' || id) AS record_id, 'event' AS record_kind,
  -- A device's connection may be a page's own or refused; pasting and uploading are done by somebody.
  coalesce(tables = 'cloud_app', false) AS is_use, occurred_at,
  uk_day(occurred_at) AS occurred_day, token.token AS person_key, 'domain' AS match_kind, host AS match_value,
  'hunting' AS channel, safe_word(filled(action)) AS operation,
  1::BIGINT AS event_count, NULL::BIGINT AS person_count, NULL::BIGINT AS byte_count, NULL::INTEGER AS risk_tier,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM event LEFT JOIN token ON token.name = account
WHERE id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM event WHERE id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM event WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'no_host' FROM event WHERE host IS NULL
)
ORDER BY line_no, problem;
