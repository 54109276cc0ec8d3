-- The tenant's sensitivity labels as they were on the day of each snapshot: one row a label and day.
CREATE TABLE IF NOT EXISTS stg_label_catalogue (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, label_id VARCHAR, label_name VARCHAR,
    parent_label_id VARCHAR, priority INTEGER, has_protection BOOLEAN,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
