-- No record has come with two bodies.
CREATE TABLE stg_conflict (record_id VARCHAR, source VARCHAR, package_id VARCHAR, occurred_day DATE);
