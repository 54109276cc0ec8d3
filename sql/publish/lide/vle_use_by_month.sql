-- One row per month, kind of record and feature; small numbers suppressed, others rounded.
SELECT date_trunc('month', occurred_day)::DATE AS month, record_kind, feature,
    nullif(count(DISTINCT person_key), 0) AS person_count, sum(quantity)::BIGINT AS event_count
FROM fct_vle_use GROUP BY ALL ORDER BY ALL;
