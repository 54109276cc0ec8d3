-- One row per pseudonymous person of the directory or seen in a record.
CREATE OR REPLACE TABLE dim_person AS
SELECT i.person_key, i.unit_id, u.unit_name, i.role, true AS is_resolved
FROM dim_identity i LEFT JOIN stg_unit u ON u.unit_id = i.unit_id
WHERE i.alias_key = i.person_key
UNION ALL
SELECT person_key, NULL, NULL,
    CASE WHEN bool_or(is_guest) THEN 'guest' WHEN bool_or(is_service) THEN 'service' ELSE 'unknown' END, false
FROM fct_person_day
WHERE person_key NOT IN (SELECT person_key FROM dim_identity)
GROUP BY person_key;
