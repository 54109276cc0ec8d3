-- Staging tables: one row as it was parsed from a package, pseudonymous. Loaded by anti-join on record_id.
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
    application VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_admin_event (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, operation VARCHAR,
    person_key VARCHAR, object_key VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_vle_use (
    record_id VARCHAR, record_kind VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR,
    actor_role VARCHAR, course_key VARCHAR, school VARCHAR, term_name VARCHAR, feature VARCHAR,
    tool_name VARCHAR, outcome VARCHAR, quantity BIGINT, base_quantity BIGINT,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);

CREATE TABLE IF NOT EXISTS stg_field_drift (
    package_id VARCHAR, source VARCHAR, record_type INTEGER, field_name VARCHAR, record_count BIGINT);

CREATE TABLE IF NOT EXISTS stg_parse_problem (
    source VARCHAR, package_id VARCHAR, line_no INTEGER, problem VARCHAR);

-- Registers, settings and run records: replaced whole at each load.
CREATE TABLE IF NOT EXISTS stg_directory (person_key VARCHAR, alias_key VARCHAR, unit_id VARCHAR, role VARCHAR);
CREATE TABLE IF NOT EXISTS stg_unit (unit_id VARCHAR, unit_name VARCHAR, parent_unit_name VARCHAR);
CREATE TABLE IF NOT EXISTS stg_label (
    label_id VARCHAR, label_name VARCHAR, label_rank INTEGER, valid_from DATE, valid_to DATE);
CREATE TABLE IF NOT EXISTS stg_tool (
    tool_id VARCHAR, tool_name VARCHAR, vendor VARCHAR, tool_status VARCHAR, hosting VARCHAR, match_kind VARCHAR,
    match_value VARCHAR);
CREATE TABLE IF NOT EXISTS stg_calendar (start_day DATE, end_day DATE, day_type VARCHAR, name VARCHAR);
CREATE TABLE IF NOT EXISTS stg_bank_holiday (holiday DATE, holiday_name VARCHAR);
CREATE TABLE IF NOT EXISTS stg_expected_source (source VARCHAR, is_configured BOOLEAN);
CREATE TABLE IF NOT EXISTS stg_package (
    seq INTEGER, package_id VARCHAR, source VARCHAR, kind VARCHAR, window_start TIMESTAMPTZ,
    window_end TIMESTAMPTZ, outcome VARCHAR, reason VARCHAR, received_count BIGINT, accepted_count BIGINT,
    duplicate_count BIGINT, quarantined_count BIGINT, trimmed_count BIGINT, content_cut_count BIGINT,
    retry_count BIGINT, throttled_count BIGINT, min_occurred_at TIMESTAMPTZ, max_occurred_at TIMESTAMPTZ,
    manifest_sha256 VARCHAR);
CREATE TABLE IF NOT EXISTS stg_run (
    run_id VARCHAR, verb VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, outcome VARCHAR,
    window_start TIMESTAMPTZ, window_end TIMESTAMPTZ, package_count BIGINT, record_count BIGINT,
    finding_count BIGINT, code_version VARCHAR, configuration_sha256 VARCHAR, head_sha256 VARCHAR);
CREATE TABLE IF NOT EXISTS stg_quality (
    run_id VARCHAR, checked_at TIMESTAMPTZ, table_name VARCHAR, check_name VARCHAR, column_name VARCHAR,
    severity VARCHAR, status VARCHAR, observed VARCHAR, failed_count BIGINT, note VARCHAR);
CREATE TABLE IF NOT EXISTS stg_finding (
    finding_id VARCHAR, detection VARCHAR, title VARCHAR, subject_kind VARCHAR, subject_key VARCHAR,
    found_day DATE, severity VARCHAR, measure DOUBLE, expected DOUBLE, summary VARCHAR, evidence VARCHAR,
    clauses VARCHAR);

-- What the warehouse itself remembers: which packages are in, and with which registers and models it was built.
CREATE TABLE IF NOT EXISTS loaded_package (package_id VARCHAR, family VARCHAR);
CREATE TABLE IF NOT EXISTS built_with (name VARCHAR, sha256 VARCHAR);
-- Days that have changed since the marts were built last; every mart with a day rebuilds just these.
CREATE TABLE IF NOT EXISTS touched_day (occurred_day DATE);
