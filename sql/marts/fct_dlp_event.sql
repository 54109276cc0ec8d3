-- One row per data-loss-prevention match, in a service or on a device.
CREATE TABLE IF NOT EXISTS fct_dlp_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, unit_id VARCHAR, incident_key VARCHAR, policy_name VARCHAR, rule_name VARCHAR,
    severity VARCHAR, rule_mode VARCHAR, enforcement_mode INTEGER, target_domain VARCHAR, channel VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_dlp_event WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_dlp_event
SELECT e.record_id, e.occurred_at, e.occurred_day, e.record_type, e.operation,
    coalesce(i.person_key, e.person_key), i.unit_id, e.incident_key, e.policy_name, e.rule_name, e.severity,
    e.rule_mode, e.enforcement_mode, e.target_domain, e.channel, e.source, e.package_id, e.line_no
FROM stg_dlp_event e
LEFT JOIN dim_identity i ON i.alias_key = e.person_key
WHERE e.occurred_day IN (SELECT occurred_day FROM touched_day);
