-- Lines of web logs about known AI tools. In: line. Out: stg_external_use, stg_parse_problem.
-- What was reached is a host, with the path of the register's entry where that has one (facts/controls.md §7, GA-21).

-- A word for what was stopped, failed or only asked about (DNS answers): no use. 40x and 5xx are codes of HTTP.
CREATE OR REPLACE MACRO is_no_use(word) AS regexp_matches(word, '(?i)block|den(y|ied)|drop|reset|refus|reject|forbid|prevent'
  || '|quarantine|fail|not.?(found|served)|answered|nxdomain|^(tcp_\w*/)?(40[0-9]|5[0-9]{2})$');
CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE TEMP TABLE web AS
SELECT line_no, text_of(record_id) AS record_id, read_time(occurred_at) AS occurred_at, lower(text_of(record_kind)) AS record_kind,
  lower(text_of(match_value)) AS match_value, text_of("user") AS person, text_of(action) AS operation, text_of(bytes) AS bytes,
  text_of("count") AS events, text_of(users) AS people, map
FROM (
  SELECT line_no, unnest(TRY(from_json(line, '{"record_id": "VARCHAR", "occurred_at": "VARCHAR", "record_kind": "VARCHAR",
    "match_value": "VARCHAR", "user": "VARCHAR", "action": "VARCHAR", "bytes": "VARCHAR", "count": "VARCHAR", "users": "VARCHAR",
    "map": "VARCHAR"}')))
  FROM line
);
CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT 'person' AS domain, person AS name FROM web WHERE person IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_external_use AS
SELECT
  safe_id(record_id) AS record_id, safe_word(record_kind) AS record_kind,
  NOT (coalesce(map = 'dns_queries', false) OR coalesce(is_no_use(operation), false)) AS is_use,
  occurred_at, uk_day(occurred_at) AS occurred_day, token.token AS person_key, 'domain' AS match_kind, safe_word(match_value) AS match_value, 'web_log' AS channel,
  safe_word(operation) AS operation,
  -- An event stands for itself; how many a sum stands for, only its log can say.
  coalesce(TRY_CAST(events AS BIGINT), CASE WHEN record_kind = 'event' THEN 1 END) AS event_count,
  TRY_CAST(people AS BIGINT) AS person_count, TRY_CAST(bytes AS BIGINT) AS byte_count, NULL::INTEGER AS risk_tier,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM web LEFT JOIN token ON token.name = web.person
WHERE record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM web WHERE record_id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM web WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'no_address' FROM web WHERE match_value IS NULL
  UNION ALL SELECT line_no, 'unknown_kind' FROM web WHERE coalesce(record_kind NOT IN ('event', 'aggregate'), true)
  UNION ALL SELECT line_no, 'not_a_number' FROM web
    WHERE events IS NOT NULL AND TRY_CAST(events AS BIGINT) IS NULL OR people IS NOT NULL AND TRY_CAST(people AS BIGINT) IS NULL
      OR bytes IS NOT NULL AND TRY_CAST(bytes AS BIGINT) IS NULL
)
ORDER BY line_no, problem;
