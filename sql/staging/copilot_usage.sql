-- Microsoft's Copilot usage report as it was read on a day: one row a user, pseudonymous.
CREATE TABLE IF NOT EXISTS stg_copilot_usage (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR, is_concealed BOOLEAN,
    report_day DATE, report_length INTEGER, last_activity_day DATE, active_app_count INTEGER,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
