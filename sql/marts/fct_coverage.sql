-- One row per source and UK day: was it collected? A day without a package is a gap, never "no use".
CREATE OR REPLACE TABLE fct_coverage AS
WITH covering AS (
    SELECT source, kind, outcome, reason, seq,
        coalesce(window_start, min_occurred_at) AS starts_at,
        coalesce(window_end, max_occurred_at + INTERVAL 1 SECOND) AS ends_at
    FROM stg_package
    WHERE coalesce(window_start, min_occurred_at) IS NOT NULL
),
source_day AS (
    SELECT s.source, d.calendar_day AS covered_day, d.calendar_day::TIMESTAMP AT TIME ZONE 'Europe/London' AS day_start,
        (d.calendar_day + INTERVAL 1 DAY)::TIMESTAMP AT TIME ZONE 'Europe/London' AS day_end
    FROM (SELECT source FROM covering UNION SELECT source FROM stg_expected_source) s
    CROSS JOIN dim_calendar_day d
),
-- Complete pulls joined into unbroken stretches: a UK day in summer time lies across two UTC windows.
ordered AS (
    SELECT source, starts_at, ends_at, max(ends_at) OVER (
        PARTITION BY source ORDER BY starts_at, ends_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM covering WHERE kind = 'pull' AND outcome = 'complete'
),
stretch AS (
    SELECT source, min(starts_at) AS starts_at, max(ends_at) AS ends_at FROM (
        SELECT source, starts_at, ends_at, sum(CASE WHEN reached IS NULL OR starts_at > reached THEN 1 ELSE 0 END)
            OVER (PARTITION BY source ORDER BY starts_at, ends_at) AS stretch_no
        FROM ordered)
    GROUP BY source, stretch_no
),
touching AS (
    SELECT sd.source, sd.covered_day,
        bool_or(c.kind = 'import' AND c.outcome = 'complete') AS has_import,
        bool_or(c.kind = 'snapshot' AND c.outcome = 'complete') AS has_snapshot,
        bool_or(c.outcome IN ('complete', 'partial', 'capped')) AS has_records,
        bool_or(c.outcome = 'unproven') AS has_unproven,
        arg_max(c.outcome, c.seq) FILTER (WHERE c.outcome <> 'complete') AS worst_outcome,
        arg_max(c.reason, c.seq) FILTER (WHERE c.outcome <> 'complete') AS worst_reason
    FROM source_day sd
    JOIN covering c ON c.source = sd.source AND c.starts_at < sd.day_end AND c.ends_at > sd.day_start
    GROUP BY ALL
),
whole AS (
    SELECT DISTINCT sd.source, sd.covered_day FROM source_day sd
    JOIN stretch s ON s.source = sd.source AND s.starts_at <= sd.day_start AND s.ends_at >= sd.day_end
)
SELECT sd.source, sd.covered_day,
    CASE
        -- A weekday without a single record is no proof of no use: auditing may be off, or a permission missing.
        WHEN w.source IS NOT NULL AND n.record_count IS NULL AND e.source IS NOT NULL AND NOT d.is_weekend
            AND NOT d.is_bank_holiday THEN 'unproven'
        WHEN w.source IS NOT NULL THEN 'collected'
        WHEN (t.has_import OR t.has_snapshot) AND n.record_count > 0 THEN 'collected'
        WHEN t.has_import OR t.has_snapshot THEN 'unproven'
        WHEN t.has_records THEN 'partly'
        WHEN t.has_unproven THEN 'unproven'
        ELSE 'not collected' END AS coverage_status,
    CASE
        WHEN w.source IS NOT NULL AND n.record_count IS NULL AND e.source IS NOT NULL AND NOT d.is_weekend
            AND NOT d.is_bank_holiday THEN 'read to its end, but a weekday without any record proves nothing'
        WHEN w.source IS NOT NULL THEN 'every window of the day was read to its end'
        WHEN t.has_snapshot AND n.record_count > 0 THEN 'how things were on this day was read to its end'
        WHEN t.has_snapshot THEN 'read to its end, but a list without any entry proves nothing'
        WHEN t.has_import AND n.record_count > 0 THEN 'from an imported file: completeness rests on its export'
        WHEN t.has_import THEN 'no record in the imported file: it may not cover this day'
        WHEN t.worst_outcome IS NOT NULL THEN coalesce(nullif(t.worst_reason, ''), t.worst_outcome)
        WHEN t.has_records THEN 'only part of the day was asked for'
        WHEN NOT e.is_configured THEN 'the source is not configured'
        ELSE 'no pull and no imported file covers this day' END AS reason,
    coalesce(n.record_count, 0) AS record_count,
    e.source IS NOT NULL AS is_expected
FROM source_day sd
LEFT JOIN whole w USING (source, covered_day)
LEFT JOIN touching t USING (source, covered_day)
LEFT JOIN fct_source_day n ON n.source = sd.source AND n.occurred_day = sd.covered_day
LEFT JOIN stg_expected_source e ON e.source = sd.source
LEFT JOIN dim_calendar_day d ON d.calendar_day = sd.covered_day
ORDER BY sd.source, sd.covered_day;
