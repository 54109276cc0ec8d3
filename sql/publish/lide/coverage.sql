-- One row per VLE source and coverage status, in days.
SELECT source, coverage_status, count(*) AS day_count, max(reason) AS reason
FROM fct_coverage WHERE source LIKE 'vle%' OR source = 'blackboard_rest' GROUP BY ALL ORDER BY ALL;
