-- Microsoft 365 audit records: one row as it was parsed from a package, pseudonymous. Loaded by anti-join on record_id.
-- Every row can be walked back: source, package_id, line_no.

CREATE TABLE IF NOT EXISTS stg_m365_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, record_type_name VARCHAR,
    operation VARCHAR, workload VARCHAR, person_key VARCHAR, user_type VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_interaction (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, identity_basis VARCHAR, user_type VARCHAR, is_guest BOOLEAN, app_host VARCHAR,
    app_identity VARCHAR, agent_id VARCHAR, agent_platform VARCHAR, thread_key VARCHAR, conversation_key VARCHAR,
    client_region VARCHAR, license_type VARCHAR, model_name VARCHAR, message_count INTEGER, prompt_count INTEGER,
    response_count INTEGER, resource_count INTEGER, has_jailbreak BOOLEAN, has_jailbreak_field BOOLEAN,
    has_xpia BOOLEAN, has_xpia_field BOOLEAN, has_web_search BOOLEAN, dlp_deferred_mask INTEGER,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_resource_access (
    record_id VARCHAR, resource_no INTEGER, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER,
    person_key VARCHAR, app_host VARCHAR, resource_key VARCHAR, resource_type VARCHAR, site_key VARCHAR,
    site_type VARCHAR, label_id VARCHAR, action VARCHAR, access_status VARCHAR, policy_outcome VARCHAR,
    has_policy_anomaly BOOLEAN, has_xpia BOOLEAN,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_dlp_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, incident_key VARCHAR, policy_name VARCHAR, rule_name VARCHAR, severity VARCHAR,
    rule_mode VARCHAR, enforcement_mode INTEGER, target_domain VARCHAR, channel VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_label_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, label_id VARCHAR, old_label_id VARCHAR, change VARCHAR, how_applied VARCHAR,
    application VARCHAR, object_key VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_admin_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, object_key VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
