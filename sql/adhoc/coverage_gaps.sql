-- title: Which days of which source are not fully collected, and why?
-- asked by: compliance, ISS
SELECT source, covered_day, coverage_status, reason FROM coverage
WHERE coverage_status <> 'collected' ORDER BY source, covered_day;
