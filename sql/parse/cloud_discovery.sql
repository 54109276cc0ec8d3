-- Sums of Defender for Cloud Apps by application (facts/m365.md §5). In: line. Out: stg_external_use, stg_parse_problem.
-- What was collected on one day is one row, so the id carries the day; a row of a file has its file's
-- day. The shortest of an application's domains names it, whatever order the service lists them in.

CREATE OR REPLACE TEMP TABLE app AS
SELECT line_no, stream, filled(id) AS id, filled(lower(trim(name))) AS name, period_days,
  read_time(coalesce(filled(day), getvariable('collected_at'))) AS occurred_at,
  (SELECT arg_min(host, (length(host), host)) FROM (
    SELECT filled(regexp_extract(lower(trim(domain)), '^(?:\*\.)?([a-z0-9.-]+\.[a-z]{2,})(?:[/:].*)?$', 1)) AS host
    FROM (SELECT unnest(domains) AS domain)
  ) WHERE host IS NOT NULL) AS domain,
  transaction_count, TRY_CAST(transaction_count AS BIGINT) AS transactions, user_count, TRY_CAST(user_count AS BIGINT) AS users,
  uploaded_bytes, TRY_CAST(uploaded_bytes AS BIGINT) AS uploaded
FROM (
  SELECT line_no, one.stream AS stream, one.id AS id, one.displayName AS name, one.domains AS domains, one.day AS day,
    TRY_CAST(one.period_days AS INTEGER) AS period_days, one.transactionCount AS transaction_count,
    one.userCount AS user_count, one.uploadNetworkTrafficInBytes AS uploaded_bytes
  FROM (
    SELECT line_no, TRY(from_json(line, '{"stream": "VARCHAR", "id": "VARCHAR", "displayName": "VARCHAR",
      "domains": ["VARCHAR"], "day": "VARCHAR", "period_days": "VARCHAR", "transactionCount": "VARCHAR",
      "userCount": "VARCHAR", "uploadNetworkTrafficInBytes": "VARCHAR"}')) AS one
    FROM line
  )
);

CREATE OR REPLACE TEMP TABLE stg_external_use AS
SELECT
  strftime(occurred_at AT TIME ZONE 'UTC', '%Y-%m-%d') || ':' || safe_id(coalesce(stream, '') || ':' || id) AS record_id,
  'aggregate' AS record_kind, true AS is_use, occurred_at, uk_day(occurred_at) AS occurred_day, NULL::VARCHAR AS person_key,
  CASE WHEN domain IS NOT NULL THEN 'domain' ELSE 'name' END AS match_kind, safe_word(coalesce(domain, name)) AS match_value,
  'cloud_discovery' AS channel, coalesce('sum of ' || period_days || ' days', 'sum of an export') AS operation,
  transactions AS event_count, users AS person_count, uploaded AS byte_count, NULL::INTEGER AS risk_tier,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM app
WHERE id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM app WHERE id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM app WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'no_name' FROM app WHERE name IS NULL AND domain IS NULL
  UNION ALL SELECT line_no, 'not_a_number' FROM app
    WHERE transaction_count IS NOT NULL AND transactions IS NULL OR user_count IS NOT NULL AND users IS NULL
      OR uploaded_bytes IS NOT NULL AND uploaded IS NULL
)
ORDER BY line_no, problem;
