-- One row per school, kind of record and feature; small numbers suppressed, others rounded.
SELECT coalesce(school, 'not stated') AS school, record_kind, feature,
    nullif(count(DISTINCT person_key), 0) AS person_count, sum(quantity)::BIGINT AS event_count
FROM fct_vle_use GROUP BY ALL ORDER BY ALL;
