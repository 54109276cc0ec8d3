-- One row per fact that a reader of the VLE figures needs: denominators and rules.
SELECT 'people in the directory register' AS key, (5 * round(count(*) / 5.0))::BIGINT::VARCHAR AS value
FROM dim_person WHERE is_resolved
UNION ALL
SELECT 'first day of VLE records', min(occurred_day)::VARCHAR FROM fct_vle_use
UNION ALL
SELECT 'last day of VLE records', max(occurred_day)::VARCHAR FROM fct_vle_use
UNION ALL
SELECT 'share of VLE people found in the directory, per cent',
    (5 * round(pct(count(DISTINCT v.person_key) FILTER (WHERE p.is_resolved), count(DISTINCT v.person_key)) / 5))::VARCHAR
FROM fct_vle_use v LEFT JOIN dim_person p ON p.person_key = v.person_key;
