-- Use of AI tools outside Microsoft 365 Copilot, whatever feed saw it: one row as it was parsed, pseudonymous.
-- record_kind: event (somebody did something) · aggregate (a feed's own sum of a period) · grant (a permission that
-- stands). Kinds are never added together. is_use is
-- false for what was refused, failed or only asked for. match_kind and match_value are looked up in the tool register.
CREATE TABLE IF NOT EXISTS stg_external_use (
    record_id VARCHAR, record_kind VARCHAR, is_use BOOLEAN, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR,
    match_kind VARCHAR, match_value VARCHAR, channel VARCHAR, operation VARCHAR, event_count BIGINT,
    person_count BIGINT, byte_count BIGINT, risk_tier INTEGER,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
