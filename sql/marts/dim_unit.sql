-- One row per organisational unit of the register.
-- A unit with fewer than eight people is too small to be shown: its numbers are reported with its parent's.
CREATE OR REPLACE TABLE dim_unit AS
WITH present AS (
    SELECT person_key FROM stg_directory
    UNION
    SELECT person_key FROM dim_person_period WHERE valid_to IS NULL AND is_enabled IS DISTINCT FROM false
),
counted AS (
    SELECT i.unit_id, count(DISTINCT i.person_key) AS person_count
    FROM dim_identity i SEMI JOIN present p ON p.person_key = i.person_key
    GROUP BY i.unit_id
)
SELECT u.unit_id, u.unit_name, u.parent_unit_name, coalesce(c.person_count, 0) AS person_count,
    CASE WHEN coalesce(c.person_count, 0) < 8 THEN coalesce(u.parent_unit_name, u.unit_name) ELSE u.unit_name END
        AS reporting_unit_name
FROM (SELECT DISTINCT unit_id, unit_name, parent_unit_name FROM stg_unit) u
LEFT JOIN counted c ON c.unit_id = u.unit_id;
