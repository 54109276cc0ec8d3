-- One row per pseudonymous person of the directory or seen in a record.
CREATE TABLE IF NOT EXISTS dim_person (
    person_key VARCHAR, unit_id VARCHAR, unit_name VARCHAR, role VARCHAR, is_resolved BOOLEAN);
INSERT INTO dim_person
SELECT d.person_key, any_value(d.unit_id), any_value(u.unit_name), any_value(d.role), true
FROM stg_directory d LEFT JOIN stg_unit u ON u.unit_id = d.unit_id
WHERE d.person_key NOT IN (SELECT person_key FROM dim_person)
GROUP BY d.person_key;
INSERT INTO dim_person
SELECT person_key, NULL, NULL,
    CASE WHEN bool_or(user_type = 'guest') THEN 'guest'
        WHEN bool_or(user_type IN ('application', 'service_principal', 'system')) THEN 'service'
        ELSE 'unknown' END,
    false
FROM (
    SELECT coalesce(i.person_key, e.person_key) AS person_key, e.user_type
    FROM stg_m365_event e LEFT JOIN dim_identity i ON i.alias_key = e.person_key
    WHERE e.occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT coalesce(i.person_key, v.person_key), NULL
    FROM stg_vle_use v LEFT JOIN dim_identity i ON i.alias_key = v.person_key
    WHERE v.occurred_day IN (SELECT occurred_day FROM touched_day)
) seen
WHERE person_key IS NOT NULL AND person_key NOT IN (SELECT person_key FROM dim_person)
GROUP BY person_key;
