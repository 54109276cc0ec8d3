-- One row per UK day and pair of sources that lead to the Microsoft 365 audit log: ids that both brought, or only one.
-- Only days that both have collected. A record stays with the source that brought it first; stg_repeat has the others.
CREATE OR REPLACE TABLE fct_door_comparison AS
WITH door AS (
    SELECT p.source, max(p.window_end) AS reached
    FROM loaded_package l JOIN stg_package p USING (package_id)
    WHERE l.base_table = 'stg_m365_event'
    GROUP BY p.source
),
covered AS (
    SELECT c.source, c.covered_day, d.reached
    FROM fct_coverage c JOIN door d USING (source)
    WHERE c.coverage_status = 'collected'
),
again AS (
    SELECT DISTINCT record_id, source, occurred_day FROM stg_repeat SEMI JOIN door USING (source)
),
brought AS (
    SELECT record_id, source, occurred_day FROM again
    UNION
    SELECT record_id, source, occurred_day FROM stg_m365_event SEMI JOIN again USING (record_id)
),
total AS (
    SELECT source, occurred_day, sum(id_count) AS id_count FROM (
        SELECT source, occurred_day, record_count AS id_count FROM fct_source_day
        UNION ALL
        SELECT source, occurred_day, count(*) FROM again GROUP BY source, occurred_day)
    GROUP BY source, occurred_day
),
shared AS (
    SELECT a.source AS first_source, b.source AS second_source, a.occurred_day, count(*) AS shared_count
    FROM brought a
    JOIN brought b ON b.record_id = a.record_id AND b.occurred_day = a.occurred_day AND b.source > a.source
    GROUP BY a.source, b.source, a.occurred_day
)
SELECT a.covered_day AS occurred_day, a.source AS first_source, b.source AS second_source,
    coalesce(s.shared_count, 0) AS shared_count,
    (coalesce(t.id_count, 0) - coalesce(s.shared_count, 0))::BIGINT AS only_first_count,
    (coalesce(u.id_count, 0) - coalesce(s.shared_count, 0))::BIGINT AS only_second_count,
    -- Records arrive up to three days late (facts/m365.md §8), and not at both doors at the same time.
    coalesce(least(a.reached, b.reached) >= (a.covered_day + INTERVAL 4 DAY)::TIMESTAMP AT TIME ZONE 'Europe/London', false)
        AND a.reached IS NOT NULL AND b.reached IS NOT NULL AS is_settled
FROM covered a
JOIN covered b ON b.covered_day = a.covered_day AND b.source > a.source
LEFT JOIN shared s ON s.first_source = a.source AND s.second_source = b.source AND s.occurred_day = a.covered_day
LEFT JOIN total t ON t.source = a.source AND t.occurred_day = a.covered_day
LEFT JOIN total u ON u.source = b.source AND u.occurred_day = a.covered_day
ORDER BY a.covered_day, a.source, b.source;
