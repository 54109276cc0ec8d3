-- One row per resource that Copilot or an agent accessed for an interaction.
CREATE TABLE IF NOT EXISTS fct_resource_access (
    record_id VARCHAR, resource_no INTEGER, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR,
    unit_id VARCHAR, app_host VARCHAR, resource_key VARCHAR, resource_type VARCHAR, site_key VARCHAR,
    site_type VARCHAR, label_id VARCHAR, label_name VARCHAR, label_rank INTEGER, is_label_known BOOLEAN,
    action VARCHAR, access_status VARCHAR, policy_outcome VARCHAR, has_xpia BOOLEAN,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_resource_access WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_resource_access
SELECT r.record_id, r.resource_no, r.occurred_at, r.occurred_day, coalesce(i.person_key, r.person_key), i.unit_id,
    r.app_host, r.resource_key, r.resource_type, r.site_key, r.site_type, r.label_id, l.label_name, l.label_rank,
    CASE WHEN r.label_id IS NOT NULL THEN l.label_id IS NOT NULL END, r.action, r.access_status,
    r.policy_outcome, r.has_xpia, r.source, r.package_id, r.line_no
FROM stg_resource_access r
LEFT JOIN dim_identity i ON i.alias_key = r.person_key
LEFT JOIN dim_label l ON l.label_id = r.label_id AND r.occurred_day >= l.valid_from
    AND (l.valid_to IS NULL OR r.occurred_day <= l.valid_to)
WHERE r.occurred_day IN (SELECT occurred_day FROM touched_day);
COMMENT ON COLUMN fct_resource_access.resource_key IS 'Token of the file, mail or page; its name is not kept.';
COMMENT ON COLUMN fct_resource_access.label_rank IS 'Rank of the label on that day; NULL if none or unknown.';
COMMENT ON COLUMN fct_resource_access.is_label_known IS 'The label is in the register; NULL if the resource has none.';
