-- One row per fact that a reader of the VLE figures needs: denominators and rules.
-- The publisher sets both variables: suppress_below and round_to of [privacy].
WITH directory AS (SELECT count(*) AS people FROM dim_person WHERE is_resolved),
vle AS (
    SELECT count(DISTINCT v.person_key) AS people, count(DISTINCT v.person_key) FILTER (WHERE p.is_resolved) AS found,
        min(v.occurred_day) AS first_day, max(v.occurred_day) AS last_day
    FROM fct_vle_use v LEFT JOIN dim_person p ON p.person_key = v.person_key
)
SELECT 'people in the directory register' AS key,
    CASE WHEN people < getvariable('suppress_below') THEN 'fewer than ' || getvariable('suppress_below')
        ELSE (getvariable('round_to') * round(people / getvariable('round_to')))::BIGINT::VARCHAR END AS value
FROM directory
UNION ALL
SELECT 'first day of VLE records', first_day::VARCHAR FROM vle
UNION ALL
SELECT 'last day of VLE records', last_day::VARCHAR FROM vle
UNION ALL
SELECT 'share of VLE people found in the directory, per cent',
    CASE WHEN people < getvariable('suppress_below') THEN 'not shown: too few people'
        ELSE (5 * round(pct(found, people) / 5))::BIGINT::VARCHAR END
FROM vle;
