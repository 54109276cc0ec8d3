-- One row per sensitivity label that was applied, changed, removed or opened.
CREATE TABLE IF NOT EXISTS fct_label_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, unit_id VARCHAR, label_id VARCHAR, label_name VARCHAR, old_label_id VARCHAR,
    change VARCHAR, how_applied VARCHAR, application VARCHAR, source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_label_event WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_label_event
SELECT e.record_id, e.occurred_at, e.occurred_day, e.record_type, e.operation,
    coalesce(i.person_key, e.person_key), i.unit_id, e.label_id, l.label_name, e.old_label_id, e.change,
    e.how_applied, e.application, e.source, e.package_id, e.line_no
FROM stg_label_event e
LEFT JOIN dim_identity i ON i.alias_key = e.person_key
LEFT JOIN dim_label l ON l.label_id = e.label_id AND e.occurred_day >= l.valid_from
    AND (l.valid_to IS NULL OR e.occurred_day <= l.valid_to)
WHERE e.occurred_day IN (SELECT occurred_day FROM touched_day);
