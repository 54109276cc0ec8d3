-- title: Which quality checks failed in the newest run?
-- asked by: ISS, compliance
SELECT table_name, check_name, column_name, severity, status, failed_count, note FROM quality
WHERE run_id = (SELECT run_id FROM run ORDER BY started_at DESC LIMIT 1) AND status <> 'passed'
ORDER BY severity, table_name;
