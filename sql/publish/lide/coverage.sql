-- One row per VLE source and coverage status, in days.
SELECT source, coverage_status, count(*) AS day_count, string_agg(DISTINCT reason, '; ' ORDER BY reason) AS reason
FROM fct_coverage WHERE source LIKE 'vle%' GROUP BY ALL ORDER BY ALL;
