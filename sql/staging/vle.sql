-- VLE GenAI records: one row as it was parsed from a package, pseudonymous.
CREATE TABLE IF NOT EXISTS stg_vle_use (
    record_id VARCHAR, record_kind VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR,
    actor_role VARCHAR, course_key VARCHAR, school VARCHAR, term_name VARCHAR, feature VARCHAR,
    tool_name VARCHAR, outcome VARCHAR, action_key VARCHAR, quantity BIGINT, base_quantity BIGINT,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
