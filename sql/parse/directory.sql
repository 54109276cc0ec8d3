-- Accounts of a directory snapshot (facts/m365.md §5). In: line. Out: stg_directory_snapshot, stg_parse_problem.
-- The role is read off words that Microsoft or the university's own identity system put there; no register is asked.

CREATE OR REPLACE TEMP TABLE account AS
SELECT line_no, unnest(TRY(from_json(line, '{"id": "VARCHAR", "userPrincipalName": "VARCHAR", "department": "VARCHAR",
  "jobTitle": "VARCHAR", "employeeType": "VARCHAR", "userType": "VARCHAR", "accountEnabled": "VARCHAR",
  "hasCopilotLicence": "VARCHAR"}')))
FROM line;

CREATE OR REPLACE MACRO text_of(value) AS filled(trim(value));
CREATE OR REPLACE TEMP TABLE name AS
SELECT DISTINCT 'person' AS domain, name FROM (
  SELECT text_of(id) AS name FROM account UNION ALL SELECT text_of(userPrincipalName) FROM account
) WHERE name IS NOT NULL;
CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');

CREATE OR REPLACE TEMP TABLE stg_directory_snapshot AS
SELECT
  -- The object id names a person, so the record is known by their pseudonym.
  strftime(read_time(getvariable('collected_at')), '%Y-%m-%d') || ':' || person.token AS record_id,
  read_time(getvariable('collected_at')) AS occurred_at, uk_day(read_time(getvariable('collected_at'))) AS occurred_day,
  person.token AS person_key, alias.token AS alias_key, safe_word(text_of(department)) AS department,
  safe_word(text_of(jobTitle)) AS job_title, safe_word(text_of(employeeType)) AS employee_type,
  CASE
    WHEN lower(text_of(userType)) = 'guest' OR contains(lower(userPrincipalName), '#ext#') THEN 'guest'
    WHEN contains(lower(employeeType), 'student') THEN 'student'
    WHEN contains(lower(employeeType), 'service') THEN 'service'
    WHEN text_of(employeeType) IS NOT NULL THEN 'staff'
    ELSE 'unknown' END AS role,
  TRY_CAST(accountEnabled AS BOOLEAN) AS is_enabled, TRY_CAST(hasCopilotLicence AS BOOLEAN) AS has_copilot_licence,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM account
JOIN token AS person ON person.name = text_of(id)
LEFT JOIN token AS alias ON alias.name = text_of(userPrincipalName)
ORDER BY line_no;

CREATE OR REPLACE TEMP TABLE stg_parse_problem AS
SELECT getvariable('source') AS source, getvariable('package_id') AS package_id, line_no, problem
FROM (
  SELECT line_no, 'no_record_id' AS problem FROM account WHERE text_of(id) IS NULL
  UNION ALL SELECT line_no, 'no_principal_name' FROM account
    WHERE text_of(id) IS NOT NULL AND text_of(userPrincipalName) IS NULL
)
ORDER BY line_no, problem;
