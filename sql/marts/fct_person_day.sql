-- One row per person and UK day with at least one record; of outside tools only what was used counts.
CREATE TABLE IF NOT EXISTS fct_person_day (
    person_key VARCHAR, occurred_day DATE, is_guest BOOLEAN, is_service BOOLEAN, record_count BIGINT);
DELETE FROM fct_person_day WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_person_day
SELECT coalesce(i.person_key, s.person_key), s.occurred_day, bool_or(s.user_type = 'guest'),
    bool_or(s.user_type IN ('application', 'service_principal', 'system')), count(*)
FROM (
    SELECT person_key, occurred_day, coalesce(user_type, '') AS user_type FROM stg_m365_event
    WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT person_key, occurred_day, '' FROM stg_vle_use
    WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT person_key, occurred_day, '' FROM stg_external_use
    WHERE is_use AND record_kind = 'event' AND occurred_day IN (SELECT occurred_day FROM touched_day)
) s
LEFT JOIN dim_identity i ON i.alias_key = s.person_key
WHERE s.person_key IS NOT NULL
GROUP BY ALL;
