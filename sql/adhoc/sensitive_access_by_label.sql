-- title: How often did Copilot read labelled content, by label and month?
-- asked by: DPO, SIRO
-- param: min_rank=20
SELECT date_trunc('month', occurred_day)::DATE AS month, label_name, label_rank,
    count(DISTINCT resource_key) AS resources, count(DISTINCT person_key) AS people
FROM resource_access
WHERE label_rank >= $min_rank::INTEGER AND policy_outcome <> 'blocked'
GROUP BY ALL ORDER BY month, label_rank DESC;
