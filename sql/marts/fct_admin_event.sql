-- One row per change in Copilot, plugin, agent or AI settings administration.
CREATE TABLE IF NOT EXISTS fct_admin_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, unit_id VARCHAR, object_key VARCHAR, source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_admin_event WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_admin_event
SELECT e.record_id, e.occurred_at, e.occurred_day, e.record_type, e.operation,
    coalesce(i.person_key, e.person_key), i.unit_id, e.object_key, e.source, e.package_id, e.line_no
FROM stg_admin_event e
LEFT JOIN dim_identity i ON i.alias_key = e.person_key
WHERE e.occurred_day IN (SELECT occurred_day FROM touched_day);
