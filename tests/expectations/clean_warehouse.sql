-- A small warehouse without a fault: 60 UK days up to 2026-11-23, ten interactions a day, checked on 2026-11-24.
CREATE MACRO person(number) AS 'ps_' || translate(left(md5(number::VARCHAR), 26), '0189', 'wxyz');

CREATE TABLE stg_m365_event AS
SELECT 'm-' || day || '-' || n AS record_id, TIMESTAMPTZ '2026-09-25 10:00:00Z' + to_days(day::INTEGER) AS occurred_at,
    DATE '2026-09-25' + day::INTEGER AS occurred_day, 261 AS record_type, 'CopilotInteraction' AS record_type_name,
    'CopilotInteraction' AS operation, 'Copilot' AS workload, person(n) AS person_key, 'regular' AS user_type,
    'm365_audit' AS source, 'package-' || day AS package_id, (n + 1)::INTEGER AS line_no
FROM range(60) AS days(day), range(10) AS numbers(n);

CREATE TABLE stg_interaction AS
SELECT record_id, occurred_at, occurred_day, record_type, operation, person_key, 'object_id' AS identity_basis,
    user_type, false AS is_guest, 'Word' AS app_host, 'Copilot.Office.Word' AS app_identity, NULL::VARCHAR AS agent_id,
    NULL::VARCHAR AS agent_platform, 'th_a' AS thread_key, 'th_a' AS conversation_key, 'gbr' AS client_region,
    NULL::VARCHAR AS license_type, NULL::VARCHAR AS model_name, 2 AS message_count, 1 AS prompt_count,
    1 AS response_count, 1 AS resource_count, line_no = 1 AS has_jailbreak, true AS has_jailbreak_field,
    false AS has_xpia, false AS has_xpia_field, false AS has_web_search, NULL::INTEGER AS dlp_deferred_mask,
    source, package_id, line_no
FROM stg_m365_event;

CREATE TABLE stg_resource_access AS
SELECT record_id, 1 AS resource_no, occurred_at, occurred_day, record_type, person_key, 'Word' AS app_host,
    'rs_a' AS resource_key, 'docx' AS resource_type, 'st_a' AS site_key, 'site' AS site_type,
    '11111111-2222-3333-4444-555555555555' AS label_id, 'read' AS action, 'success' AS access_status,
    'none' AS policy_outcome, false AS has_policy_anomaly, false AS has_xpia, source, package_id, line_no
FROM stg_m365_event;

CREATE TABLE stg_dlp_event AS
SELECT 'd-' || record_id AS record_id, occurred_at, occurred_day, 63 AS record_type, 'FileUploadedToCloud' AS operation,
    person_key, 'in_a' AS incident_key, 'Sensitive data' AS policy_name, 'Block' AS rule_name, 'High' AS severity,
    'Enable' AS rule_mode, 1 AS enforcement_mode, 'example.com' AS target_domain, 'endpoint' AS channel,
    source, package_id, line_no
FROM stg_m365_event WHERE line_no = 1;

CREATE TABLE stg_label_event AS
SELECT 'l-' || record_id AS record_id, occurred_at, occurred_day, 71 AS record_type, 'MipLabel' AS operation, person_key,
    '11111111-2222-3333-4444-555555555555' AS label_id, NULL::VARCHAR AS old_label_id, 'applied' AS change,
    'manual' AS how_applied, 'Word' AS application, NULL::VARCHAR AS object_key, source, package_id, line_no
FROM stg_m365_event WHERE line_no = 1;

CREATE TABLE stg_admin_event AS
SELECT 'a-' || record_id AS record_id, occurred_at, occurred_day, 310 AS record_type, 'UpdateTenantSettings' AS operation,
    person_key, 'ob_a' AS object_key, source, package_id, line_no
FROM stg_m365_event WHERE line_no = 1;

CREATE TABLE stg_vle_use AS
SELECT 'v-' || record_id AS record_id, 'artefact' AS record_kind, occurred_at, occurred_day, person_key,
    'instructor' AS actor_role, 'co_a' AS course_key, 'Arts' AS school, 'Autumn' AS term_name, 'ai_quiz' AS feature,
    'AI Design Assistant' AS tool_name, 'accepted' AS outcome, NULL::VARCHAR AS action_key, 1::BIGINT AS quantity, NULL::BIGINT AS base_quantity,
    'vle_csv' AS source, 'package-vle' AS package_id, line_no
FROM stg_m365_event WHERE line_no <= 3;

CREATE TABLE stg_field_drift (
    package_id VARCHAR, source VARCHAR, record_type INTEGER, field_name VARCHAR, record_count BIGINT);
CREATE TABLE stg_parse_problem (source VARCHAR, package_id VARCHAR, line_no INTEGER, problem VARCHAR);

CREATE TABLE dim_person AS
SELECT person(n) AS person_key, 'u1' AS unit_id, 'Arts' AS unit_name, 'staff' AS role, n > 0 AS is_resolved
FROM range(10) AS numbers(n);
CREATE TABLE dim_unit AS
SELECT 'u1' AS unit_id, 'Arts' AS unit_name, NULL::VARCHAR AS parent_unit_name, 10::BIGINT AS person_count;
CREATE TABLE dim_tool AS
SELECT 't1' AS tool_id, 'Example AI' AS tool_name, 'Example' AS vendor, 'approved' AS tool_status, 'cloud' AS hosting;
CREATE TABLE dim_label AS
SELECT '11111111-2222-3333-4444-555555555555' AS label_id, 'General' AS label_name, 10 AS label_rank,
    DATE '2024-01-01' AS valid_from, NULL::DATE AS valid_to;
CREATE TABLE dim_calendar_day AS
SELECT DISTINCT occurred_day AS calendar_day, 'teaching' AS day_type, false AS is_bank_holiday,
    isodow(occurred_day) > 5 AS is_weekend, 1 AS teaching_week, '2026/27' AS academic_year
FROM stg_m365_event;

CREATE TABLE fct_interaction AS
SELECT record_id, occurred_at, occurred_day, record_type, person_key, 'u1' AS unit_id, 'staff' AS role, user_type,
    app_host, app_identity, agent_id, true AS is_end_user, NULL::VARCHAR AS exclusion_reason, false AS is_twin,
    prompt_count, response_count, resource_count, has_jailbreak, has_jailbreak_field, has_xpia, has_xpia_field,
    has_web_search, client_region, source, package_id, line_no
FROM stg_interaction;
CREATE TABLE fct_resource_access AS
SELECT record_id, resource_no, occurred_at, occurred_day, person_key, 'u1' AS unit_id, app_host, resource_key,
    resource_type, site_key, site_type, label_id, 'General' AS label_name, 10 AS label_rank, true AS is_label_known,
    action, access_status, policy_outcome, has_xpia, source, package_id, line_no
FROM stg_resource_access;
CREATE TABLE stg_external_use AS
SELECT 'x-' || record_id AS record_id, 'event' AS record_kind, true AS is_use, occurred_at, occurred_day, person_key,
    'domain' AS match_kind, 'example.com' AS match_value, 'sign_in' AS channel, 'signIn' AS operation,
    1::BIGINT AS event_count, NULL::BIGINT AS person_count, NULL::BIGINT AS byte_count, NULL::INTEGER AS risk_tier,
    'm365_signins' AS source, package_id, line_no
FROM stg_m365_event WHERE line_no = 1;
CREATE TABLE fct_external_use AS
SELECT record_id, record_kind, is_use, occurred_at, occurred_day, person_key, 'u1' AS unit_id, 't1' AS tool_id,
    'Example AI' AS tool_name, 'approved' AS tool_status, channel, operation, event_count, person_count, byte_count,
    risk_tier, source, package_id, line_no
FROM stg_external_use;
CREATE TABLE stg_repeat (record_id VARCHAR, source VARCHAR, occurred_day DATE);
CREATE TABLE fct_vle_use AS
SELECT record_id, occurred_at, occurred_day, record_kind, person_key, actor_role, course_key, school, term_name,
    feature, tool_name, outcome, action_key, quantity, base_quantity, source, package_id, line_no
FROM stg_vle_use;
CREATE TABLE fct_label_event AS SELECT *, 'u1' AS unit_id, false AS is_twin FROM stg_label_event;
CREATE TABLE fct_dlp_event AS SELECT *, 'u1' AS unit_id, 't1' AS tool_id FROM stg_dlp_event;
CREATE TABLE fct_admin_event AS SELECT *, 'u1' AS unit_id FROM stg_admin_event;

CREATE TABLE fct_person_day AS
SELECT DISTINCT person_key, occurred_day, false AS is_guest, false AS is_service, 1::BIGINT AS record_count
FROM fct_interaction;

CREATE TABLE fct_source_day AS
SELECT source, occurred_day, count(*) AS record_count
FROM (SELECT source, occurred_day FROM stg_m365_event UNION ALL SELECT source, occurred_day FROM stg_vle_use)
GROUP BY ALL;
CREATE TABLE fct_package AS
SELECT (day + 1)::INTEGER AS seq, 'package-' || day AS package_id, 'm365_audit' AS source, 'pull' AS kind,
    TIMESTAMPTZ '2026-09-25 00:00:00Z' + to_days(day::INTEGER) AS window_start,
    TIMESTAMPTZ '2026-09-26 00:00:00Z' + to_days(day::INTEGER) AS window_end, 'complete' AS outcome,
    NULL::VARCHAR AS reason, 12::BIGINT AS received_count, 10::BIGINT AS accepted_count, 1::BIGINT AS duplicate_count,
    0::BIGINT AS quarantined_count, 1::BIGINT AS trimmed_count, 0::BIGINT AS content_cut_count,
    0::BIGINT AS retry_count, 0::BIGINT AS throttled_count, NULL::TIMESTAMPTZ AS min_occurred_at,
    NULL::TIMESTAMPTZ AS max_occurred_at, sha256(day::VARCHAR) AS manifest_sha256
FROM range(60) AS days(day);
CREATE TABLE fct_coverage AS
SELECT source, occurred_day AS covered_day, 'collected' AS coverage_status, 'read to its end' AS reason, record_count,
    source = 'm365_audit' AS is_expected
FROM fct_source_day;
CREATE TABLE fct_field_drift (
    record_type INTEGER, field_name VARCHAR, record_count BIGINT, first_package_id VARCHAR);
CREATE TABLE fct_parse_problem (source VARCHAR, problem VARCHAR, record_count BIGINT);
CREATE TABLE fct_finding AS
SELECT 'f1' AS finding_id, 'prompt_attack_flag' AS detection, 'A flagged prompt' AS title, 'person' AS subject_kind,
    person(1) AS subject_key, DATE '2026-11-20' AS found_day, 'high' AS severity, 1.0::DOUBLE AS measure,
    NULL::DOUBLE AS expected, 'One prompt was flagged.' AS summary, '[]' AS evidence, '4, 6' AS clauses;
CREATE TABLE fct_quality (
    run_id VARCHAR, checked_at TIMESTAMPTZ, table_name VARCHAR, check_name VARCHAR, column_name VARCHAR,
    severity VARCHAR, status VARCHAR, observed VARCHAR, failed_count BIGINT, note VARCHAR);
CREATE TABLE fct_run AS
SELECT 'run-1' AS run_id, 'run' AS verb, TIMESTAMPTZ '2026-11-23 03:00:00Z' AS started_at,
    TIMESTAMPTZ '2026-11-23 03:10:00Z' AS ended_at, 'complete' AS outcome, NULL::TIMESTAMPTZ AS window_start,
    NULL::TIMESTAMPTZ AS window_end, 60::BIGINT AS package_count, 600::BIGINT AS record_count,
    1::BIGINT AS finding_count, '0.1.0' AS code_version, 'c' AS configuration_sha256, 'h' AS head_sha256;

-- Registers and run records as they are staged.
CREATE TABLE stg_directory AS SELECT person_key, NULL::VARCHAR AS alias_key, unit_id, role FROM dim_person;
CREATE TABLE dim_identity AS SELECT person_key AS alias_key, person_key FROM dim_person;
CREATE TABLE stg_unit AS SELECT unit_id, unit_name, parent_unit_name FROM dim_unit;
CREATE TABLE stg_label AS SELECT * FROM dim_label;
CREATE TABLE stg_tool AS SELECT *, 'domain' AS match_kind, 'example.com' AS match_value FROM dim_tool;
CREATE TABLE stg_calendar AS
SELECT DATE '2026-09-21' AS start_day, DATE '2026-12-11' AS end_day, 'teaching' AS day_type, 'Autumn' AS name;
CREATE TABLE stg_bank_holiday AS SELECT DATE '2026-12-25' AS holiday, 'Christmas Day' AS holiday_name;
CREATE TABLE stg_expected_source AS SELECT 'm365_audit' AS source, true AS is_configured;
CREATE TABLE stg_package AS SELECT * FROM fct_package;
CREATE TABLE stg_run AS SELECT * FROM fct_run;
CREATE TABLE stg_quality AS SELECT * FROM fct_quality;
CREATE TABLE stg_finding AS SELECT * FROM fct_finding;
