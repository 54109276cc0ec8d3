-- title: What was found since a day?
-- asked by: compliance
-- param: since=2020-01-01
SELECT found_day, severity, detection, subject_kind, subject_key, summary, finding_id
FROM finding WHERE found_day >= $since::DATE ORDER BY found_day DESC, severity, detection;
