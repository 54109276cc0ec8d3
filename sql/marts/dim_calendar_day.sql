-- One row per UK day from the first to the last day that any source covers.
CREATE OR REPLACE TABLE dim_calendar_day AS
WITH span AS (
    SELECT min(first_day) AS first_day, max(last_day) AS last_day FROM (
        SELECT min(occurred_day) AS first_day, max(occurred_day) AS last_day FROM fct_source_day
        UNION ALL
        SELECT min(uk_day(window_start)), max(uk_day(window_end - INTERVAL 1 SECOND)) FROM stg_package)
),
days AS (
    SELECT unnest(generate_series(first_day::TIMESTAMP, last_day::TIMESTAMP, INTERVAL 1 DAY))::DATE AS calendar_day
    FROM span WHERE first_day IS NOT NULL
),
periods AS (
    SELECT d.calendar_day, arg_min(c.day_type, c.end_day - c.start_day) AS day_type,
        min(c.start_day) FILTER (WHERE c.day_type = 'teaching') AS teaching_start
    FROM days d JOIN stg_calendar c ON d.calendar_day BETWEEN c.start_day AND c.end_day
    GROUP BY ALL
)
SELECT d.calendar_day, coalesce(p.day_type, 'unknown') AS day_type, h.holiday IS NOT NULL AS is_bank_holiday,
    isodow(d.calendar_day) >= 6 AS is_weekend,
    (date_diff('day', date_trunc('week', p.teaching_start)::DATE, d.calendar_day) // 7 + 1)::INTEGER AS teaching_week,
    academic_year(d.calendar_day) AS academic_year
FROM days d
LEFT JOIN periods p ON p.calendar_day = d.calendar_day
LEFT JOIN (SELECT DISTINCT holiday FROM stg_bank_holiday) h ON h.holiday = d.calendar_day;
COMMENT ON COLUMN dim_calendar_day.teaching_week IS 'Week of the teaching period, 1 for its first; NULL outside.';
