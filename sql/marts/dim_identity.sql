-- One row per pseudonym that a directory person is seen with: of the object id, or of the UPN.
CREATE OR REPLACE TABLE dim_identity AS
WITH known AS (
    SELECT person_key AS alias_key, person_key, unit_id, role FROM stg_directory
    UNION ALL
    SELECT alias_key, person_key, unit_id, role FROM stg_directory
    WHERE alias_key IS NOT NULL AND alias_key NOT IN (SELECT person_key FROM stg_directory)
)
SELECT alias_key, min(person_key) AS person_key, arg_min(unit_id, person_key) AS unit_id,
    arg_min(role, person_key) AS role
FROM known GROUP BY alias_key;
