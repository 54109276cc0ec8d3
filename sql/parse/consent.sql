-- Permission grants as they stand on a day, and consents (facts/m365.md §5). In: line. Out: stg_external_use,
-- stg_parse_problem. A grant is landed anew each day, so its id carries the day; a consent happened once.
-- Entra writes a grant's id of raw object ids, the person's among them: here it is always a token.

CREATE OR REPLACE TEMP TABLE entry AS
SELECT line_no, record, filled(id) AS id, lower(filled(coalesce(filled(app_id), client_id))) AS app, result, is_for_all,
  CASE WHEN record = 'grant' THEN read_time(getvariable('collected_at')) ELSE read_time(activity_time) END AS occurred_at,
  CASE WHEN record = 'consent' OR NOT coalesce(is_for_all, false) THEN filled(principal_id) END AS principal_id,
  risk_tier
FROM (
  SELECT line_no, one.record, one.id, one.appId AS app_id, one.clientId AS client_id, one.result AS result,
    TRY_CAST(one.isForAllUsers AS BOOLEAN) AS is_for_all, one.activityDateTime AS activity_time,
    one.principalId AS principal_id, TRY_CAST(one.risk_tier AS INTEGER) AS risk_tier
  FROM (
    SELECT line_no, TRY(from_json(line, '{"record": "VARCHAR", "id": "VARCHAR", "appId": "VARCHAR", "clientId": "VARCHAR",
      "activityDateTime": "VARCHAR", "isForAllUsers": "VARCHAR", "principalId": "VARCHAR", "result": "VARCHAR",
      "risk_tier": "VARCHAR"}')) AS one
    FROM line
  )
);

CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT 'person' AS domain, principal_id AS name FROM entry WHERE principal_id IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

-- To allow an app is not to use it. A consent by an administrator is for everybody, and the administrator is the person of the event.
CREATE OR REPLACE TEMP TABLE stg_external_use AS
SELECT
  CASE WHEN record = 'grant' THEN strftime(occurred_at AT TIME ZONE 'UTC', '%Y-%m-%d') || ':' || python_token('object', id)
    ELSE safe_id(id) END AS record_id,
  CASE WHEN record = 'grant' THEN 'grant' ELSE 'event' END AS record_kind,
  false AS is_use, occurred_at, uk_day(occurred_at) AS occurred_day, token.token AS person_key,
  'app_id' AS match_kind, safe_word(app) AS match_value, 'consent' AS channel,
  CASE WHEN record = 'grant' THEN 'grant' WHEN lower(result) = 'success' THEN 'Consent to application'
    ELSE 'Consent to application failed' END || CASE WHEN is_for_all THEN ' (all users)' ELSE '' END AS operation,
  1::BIGINT AS event_count, NULL::BIGINT AS person_count, NULL::BIGINT AS byte_count, risk_tier,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM entry LEFT JOIN token ON token.name = principal_id
WHERE id IS NOT NULL AND occurred_at IS NOT NULL AND record IN ('grant', 'consent')
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM entry WHERE id IS NULL
  UNION ALL SELECT line_no, 'no_time' FROM entry WHERE occurred_at IS NULL
  UNION ALL SELECT line_no, 'unknown_kind' FROM entry WHERE coalesce(record NOT IN ('grant', 'consent'), true)
  UNION ALL SELECT line_no, 'no_app_id' FROM entry WHERE app IS NULL
)
ORDER BY line_no, problem;
