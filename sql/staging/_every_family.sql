-- What every family may find out of a package besides its rows.
CREATE TABLE IF NOT EXISTS stg_field_drift (
    package_id VARCHAR, source VARCHAR, record_type INTEGER, field_name VARCHAR, record_count BIGINT);

CREATE TABLE IF NOT EXISTS stg_parse_problem (
    source VARCHAR, package_id VARCHAR, line_no INTEGER, problem VARCHAR);
