-- One row per tool and kind of record; small numbers suppressed, others rounded.
SELECT coalesce(tool_name, 'not stated') AS tool_name, record_kind,
    nullif(count(DISTINCT person_key), 0) AS person_count, sum(quantity)::BIGINT AS event_count
FROM fct_vle_use GROUP BY ALL ORDER BY ALL;
