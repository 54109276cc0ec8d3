-- Holidays, settings, packages and run records: replaced whole at each load.
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
