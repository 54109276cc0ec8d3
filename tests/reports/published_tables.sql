-- The published tables that the reports read, with the columns they use (the publisher adds more).
CREATE TABLE interaction (
  record_id VARCHAR, occurred_day DATE, person_key VARCHAR, app_host VARCHAR, is_end_user BOOLEAN,
  exclusion_reason VARCHAR, is_twin BOOLEAN, prompt_count INTEGER, has_jailbreak_field BOOLEAN,
  has_xpia_field BOOLEAN, source VARCHAR
);
CREATE TABLE resource_access (
  record_id VARCHAR, occurred_day DATE, person_key VARCHAR, resource_key VARCHAR, label_id VARCHAR,
  label_name VARCHAR, label_rank INTEGER, is_label_known BOOLEAN, policy_outcome VARCHAR, source
  VARCHAR
);
CREATE TABLE external_use (
  record_id VARCHAR, record_kind VARCHAR, is_use BOOLEAN, occurred_day DATE, person_key VARCHAR, tool_id VARCHAR,
  tool_name VARCHAR, tool_status VARCHAR, channel VARCHAR, source VARCHAR
);
CREATE TABLE vle_use (
  record_id VARCHAR, occurred_day DATE, record_kind VARCHAR, person_key VARCHAR, feature VARCHAR
);
CREATE TABLE tool (
  tool_id VARCHAR, tool_name VARCHAR
);
CREATE TABLE finding (
  finding_id VARCHAR, detection VARCHAR, title VARCHAR, subject_kind VARCHAR, subject_key VARCHAR,
  found_day DATE, severity VARCHAR, measure DOUBLE, expected DOUBLE, summary VARCHAR, evidence
  VARCHAR, clauses VARCHAR
);
CREATE TABLE coverage (
  source VARCHAR, covered_day DATE, coverage_status VARCHAR, reason VARCHAR, record_count BIGINT,
  is_expected BOOLEAN
);
CREATE TABLE quality (
  run_id VARCHAR, checked_at TIMESTAMPTZ, table_name VARCHAR, check_name VARCHAR, column_name
  VARCHAR, severity VARCHAR, status VARCHAR, observed VARCHAR, failed_count BIGINT, note VARCHAR
);
CREATE TABLE run (
  run_id VARCHAR, verb VARCHAR, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, outcome VARCHAR,
  package_count BIGINT, record_count BIGINT, finding_count BIGINT, code_version VARCHAR,
  configuration_sha256 VARCHAR
);
CREATE TABLE package (
  seq INTEGER, package_id VARCHAR, source VARCHAR, kind VARCHAR, window_start TIMESTAMPTZ,
  window_end TIMESTAMPTZ, outcome VARCHAR, reason VARCHAR, received_count BIGINT, accepted_count
  BIGINT, duplicate_count BIGINT, quarantined_count BIGINT, trimmed_count BIGINT, content_cut_count
  BIGINT, retry_count BIGINT, throttled_count BIGINT
);
CREATE TABLE field_drift (
  record_type INTEGER, field_name VARCHAR, record_count BIGINT, first_package_id VARCHAR
);
CREATE TABLE source_day (
  source VARCHAR, occurred_day DATE, record_count BIGINT
);
CREATE TABLE parse_problem (
  source VARCHAR, problem VARCHAR, record_count BIGINT
);
CREATE TABLE vle_use_by_month (
  month DATE, record_kind VARCHAR, feature VARCHAR, person_count BIGINT, event_count BIGINT,
  is_suppressed BOOLEAN
);
CREATE TABLE vle_use_by_school (
  school VARCHAR, record_kind VARCHAR, feature VARCHAR, person_count BIGINT, event_count BIGINT,
  is_suppressed BOOLEAN, is_total BOOLEAN
);
CREATE TABLE vle_use_by_role (
  actor_role VARCHAR, record_kind VARCHAR, person_count BIGINT, event_count BIGINT, is_suppressed
  BOOLEAN, is_total BOOLEAN
);
CREATE TABLE vle_use_by_tool (
  tool_name VARCHAR, record_kind VARCHAR, person_count BIGINT, event_count BIGINT, is_suppressed
  BOOLEAN
);
CREATE TABLE lide_coverage (
  source VARCHAR, coverage_status VARCHAR, day_count BIGINT, reason VARCHAR
);
CREATE TABLE calendar_day (
  calendar_day DATE, day_type VARCHAR
);
CREATE TABLE about (
  key VARCHAR, value VARCHAR
);
CREATE TABLE start_here (
  table_name VARCHAR, what_it_holds VARCHAR, row_count BIGINT
);
