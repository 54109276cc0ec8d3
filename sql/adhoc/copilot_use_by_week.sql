-- title: How much is Copilot used, by week?
-- asked by: IGAG
SELECT date_trunc('week', occurred_day)::DATE AS week, sum(prompt_count) AS prompts,
    count(DISTINCT person_key) AS people
FROM interaction WHERE is_end_user AND record_type = 261 GROUP BY ALL ORDER BY week;
