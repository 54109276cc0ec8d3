-- title: Which label ids does the label register not know?
-- asked by: compliance
SELECT label_id, count(*) AS resources, min(occurred_day) AS first_day FROM resource_access
WHERE label_id IS NOT NULL AND NOT is_label_known GROUP BY label_id ORDER BY resources DESC;
