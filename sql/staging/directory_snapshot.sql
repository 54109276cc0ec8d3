-- The directory as it was on the day of each snapshot: one row a person and day, pseudonymous.
CREATE TABLE IF NOT EXISTS stg_directory_snapshot (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR, alias_key VARCHAR,
    department VARCHAR, job_title VARCHAR, employee_type VARCHAR, role VARCHAR, is_enabled BOOLEAN,
    has_copilot_licence BOOLEAN, source VARCHAR, package_id VARCHAR, line_no INTEGER);

-- Every pseudonym that a snapshot ever showed, with its person as the newest snapshot that has them shows them:
-- who left keeps their unit, and one that broke off makes nobody unknown. A name that passed on belongs to the newest.
CREATE OR REPLACE VIEW directory_pseudonym AS
WITH person AS (
    SELECT person_key, arg_max(struct_pack(alias_key, department, role), occurred_at) AS newest
    FROM stg_directory_snapshot GROUP BY person_key
),
seen AS (
    SELECT person_key AS alias_key, person_key, max(occurred_at) AS seen_at FROM stg_directory_snapshot GROUP BY ALL
    UNION ALL
    SELECT alias_key, person_key, max(occurred_at) FROM stg_directory_snapshot WHERE alias_key IS NOT NULL GROUP BY ALL
),
owner AS (SELECT alias_key, arg_max(person_key, seen_at) AS person_key FROM seen GROUP BY alias_key)
SELECT o.alias_key, o.person_key, own.alias_key AS newest_alias_key, p.newest.department AS department,
    p.newest.role AS role
FROM owner o JOIN person p USING (person_key)
LEFT JOIN owner own ON own.alias_key = p.newest.alias_key AND own.person_key = p.person_key;
