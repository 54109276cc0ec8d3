-- title: What did the VLE report, by kind of record? (Kinds are never added together; of a state, the newest export counts.)
-- asked by: LIDE, compliance
WITH newest AS (
    SELECT * FROM vle_use
    QUALIFY record_kind IS DISTINCT FROM 'aggregate' OR occurred_day = max(occurred_day) OVER (
        PARTITION BY source, record_kind, person_key, coalesce(course_key, school), term_name, feature, tool_name)
)
SELECT record_kind, feature, sum(quantity) AS quantity, count(*) AS records FROM newest
GROUP BY ALL ORDER BY record_kind, quantity DESC;
