-- title: Which AI tools outside Microsoft 365 were used, by month?
-- asked by: IGAG, compliance
SELECT date_trunc('month', occurred_day)::DATE AS month, tool_name, tool_status, channel, count(*) AS uses,
    count(DISTINCT person_key) AS people
FROM external_use WHERE is_use AND record_kind = 'event' GROUP BY ALL ORDER BY month, uses DESC;
