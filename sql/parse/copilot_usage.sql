-- Rows of Microsoft's Copilot usage report (facts/m365.md §5). In: line. Out: stg_copilot_usage, stg_parse_problem.
-- A concealed name is not a person's: it gets a pseudonym of the domain 'object', so that users can still be counted.

CREATE OR REPLACE TEMP TABLE usage AS
SELECT line_no, unnest(TRY(from_json(line, '{"user_principal_name": "VARCHAR", "report_refresh_date": "VARCHAR",
  "report_period": "VARCHAR", "last_activity_date": "VARCHAR", "last_activity_by_app": "MAP(VARCHAR, VARCHAR)",
  "is_concealed": "VARCHAR"}')))
FROM line;

CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE MACRO day_of(value) AS TRY_CAST(left(text_of(value), 10) AS DATE);
CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT CASE WHEN TRY_CAST(is_concealed AS BOOLEAN) THEN 'object' ELSE 'person' END AS domain,
  text_of(user_principal_name) AS name
FROM usage WHERE text_of(user_principal_name) IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_copilot_usage AS
SELECT
  strftime(read_time(getvariable('collected_at')), '%Y-%m-%d') || ':' || token AS record_id,
  read_time(getvariable('collected_at')) AS occurred_at, uk_day(read_time(getvariable('collected_at'))) AS occurred_day,
  CASE WHEN domain = 'person' THEN token END AS person_key, domain = 'object' AS is_concealed,
  day_of(report_refresh_date) AS report_day, TRY_CAST(report_period AS INTEGER) AS report_length,
  -- Where the report has no column for all applications, the last day in any of them.
  coalesce(day_of(last_activity_date), list_max(list_transform(map_values(last_activity_by_app), lambda day: day_of(day))))
    AS last_activity_day,
  coalesce(len(list_filter(map_values(last_activity_by_app), lambda day: day_of(day) IS NOT NULL)), 0)::INTEGER
    AS active_app_count,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM usage
JOIN token ON token.name = text_of(user_principal_name)
  AND token.domain = CASE WHEN TRY_CAST(is_concealed AS BOOLEAN) THEN 'object' ELSE 'person' END
WHERE day_of(report_refresh_date) IS NOT NULL
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM usage WHERE text_of(user_principal_name) IS NULL
  UNION ALL SELECT line_no, 'no_report_day' FROM usage WHERE day_of(report_refresh_date) IS NULL
  UNION ALL SELECT line_no, 'activity_day_unreadable' FROM usage
    WHERE text_of(last_activity_date) IS NOT NULL AND day_of(last_activity_date) IS NULL
)
ORDER BY line_no, problem;
