-- One row per sensitivity label that was applied, changed, removed or opened.
CREATE TABLE IF NOT EXISTS fct_label_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, unit_id VARCHAR, label_id VARCHAR, label_name VARCHAR, old_label_id VARCHAR,
    change VARCHAR, how_applied VARCHAR, application VARCHAR, is_twin BOOLEAN, source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_label_event WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_label_event
-- A labelled e-mail is logged twice, with one id of the mail: the record of type 13 is the twin, that of type 43 counts.
-- Only within a day: what was loaded together must not matter.
WITH mail AS (
    SELECT DISTINCT object_key, occurred_day FROM stg_label_event
    WHERE record_type = 43 AND object_key IS NOT NULL AND occurred_day IN (SELECT occurred_day FROM touched_day)
)
SELECT e.record_id, e.occurred_at, e.occurred_day, e.record_type, e.operation,
    coalesce(i.person_key, e.person_key), i.unit_id, e.label_id, l.label_name, e.old_label_id, e.change,
    e.how_applied, e.application, e.record_type = 13 AND m.object_key IS NOT NULL, e.source, e.package_id, e.line_no
FROM stg_label_event e
LEFT JOIN dim_identity i ON i.alias_key = e.person_key
LEFT JOIN dim_label l ON l.label_id = e.label_id AND e.occurred_day >= l.valid_from
    AND (l.valid_to IS NULL OR e.occurred_day <= l.valid_to)
LEFT JOIN mail m ON m.object_key = e.object_key AND m.occurred_day = e.occurred_day
WHERE e.occurred_day IN (SELECT occurred_day FROM touched_day);
