-- One row per pseudonym that a directory person is seen with: of the object id, or of a UPN, today's or an older one.
-- The directory register decides about everybody whom it has. Others are as the newest directory snapshot shows them.
-- Undated: facts take a person's newest unit and role, whatever their day; dim_person_period has the periods.
CREATE OR REPLACE TABLE dim_identity AS
WITH known AS (
    SELECT person_key AS alias_key, person_key, unit_id, role FROM stg_directory
    UNION ALL
    SELECT alias_key, person_key, unit_id, role FROM stg_directory
    WHERE alias_key IS NOT NULL AND alias_key NOT IN (SELECT person_key FROM stg_directory)
),
registered AS (
    SELECT alias_key, min(person_key) AS person_key, arg_min(unit_id, person_key) AS unit_id,
        arg_min(role, person_key) AS role
    FROM known GROUP BY alias_key
),
-- A department of the directory is a unit when it is the unit's id or name.
unit_word AS (
    SELECT lower(trim(word)) AS word, arg_min(unit_id, rank) AS unit_id
    FROM (SELECT unit_id AS word, unit_id, 1 AS rank FROM stg_unit UNION ALL SELECT unit_name, unit_id, 2 FROM stg_unit)
    GROUP BY ALL
)
SELECT alias_key, person_key, unit_id, role FROM registered
UNION ALL
SELECT s.alias_key, coalesce(o.person_key, n.person_key, s.person_key),
    CASE WHEN o.alias_key IS NOT NULL THEN o.unit_id WHEN n.alias_key IS NOT NULL THEN n.unit_id ELSE u.unit_id END,
    coalesce(o.role, n.role, s.role)
FROM directory_pseudonym s
LEFT JOIN registered o ON o.alias_key = s.person_key
-- Whom the register knows by UPN alone is found by today's UPN.
LEFT JOIN registered n ON n.alias_key = s.newest_alias_key AND n.person_key = n.alias_key
LEFT JOIN unit_word u ON u.word = lower(trim(s.department))
WHERE s.alias_key NOT IN (SELECT alias_key FROM registered);
