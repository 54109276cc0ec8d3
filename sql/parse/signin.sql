-- Sign-ins to AI applications (facts/m365.md §5). In: line. Out: stg_external_use, stg_parse_problem.
-- An account that Entra could not tell has the id of zeros: nobody.

CREATE OR REPLACE TEMP TABLE sign_in AS
SELECT line_no, filled(id) AS id, read_time(created) AS occurred_at, lower(filled(app_id)) AS app_id, error_code,
  CASE WHEN user_id <> '00000000-0000-0000-0000-000000000000' THEN filled(user_id) END AS user_id
FROM (
  SELECT line_no, one.id, one.createdDateTime AS created, one.appId AS app_id, one.userId AS user_id,
    one.errorCode AS error_code
  FROM (
    SELECT line_no, TRY(from_json(line, '{"id": "VARCHAR", "createdDateTime": "VARCHAR", "appId": "VARCHAR",
      "userId": "VARCHAR", "errorCode": "VARCHAR"}')) AS one
    FROM line
  )
);

CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT 'person' AS domain, user_id AS name FROM sign_in WHERE user_id IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_external_use AS
SELECT
  safe_id(id) AS record_id, 'event' AS record_kind, coalesce(error_code = '0', true) AS is_use, occurred_at,
  uk_day(occurred_at) AS occurred_day, token.token AS person_key,
  'app_id' AS match_kind, safe_word(app_id) AS match_value, 'sign_in' AS channel,
  CASE WHEN error_code = '0' THEN 'signIn' WHEN error_code IS NULL THEN 'signIn unknown' ELSE 'signIn failed' END AS operation,
  1::BIGINT AS event_count, NULL::BIGINT AS person_count, NULL::BIGINT AS byte_count, NULL::INTEGER AS risk_tier,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM sign_in LEFT JOIN token ON token.name = user_id
WHERE id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM sign_in WHERE id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM sign_in WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'no_app_id' FROM sign_in WHERE app_id IS NULL
)
ORDER BY line_no, problem;
