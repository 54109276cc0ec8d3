-- title: What was collected, and what was not?
-- asked by: compliance, DPO
SELECT source, coverage_status, count(*) AS days, min(covered_day) AS first_day, max(covered_day) AS last_day,
    any_value(reason) AS reason
FROM coverage GROUP BY source, coverage_status ORDER BY source, coverage_status;
