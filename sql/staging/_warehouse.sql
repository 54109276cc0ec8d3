-- What the warehouse itself remembers: which packages are in, and with which registers and models it was built.
CREATE TABLE IF NOT EXISTS loaded_package (package_id VARCHAR, base_table VARCHAR);
CREATE TABLE IF NOT EXISTS built_with (name VARCHAR, sha256 VARCHAR);
-- Days that have changed since the marts were built last; every mart with a day rebuilds just these.
CREATE TABLE IF NOT EXISTS touched_day (occurred_day DATE);
-- Records by source and day, counted when they are loaded.
CREATE TABLE IF NOT EXISTS loaded_day (source VARCHAR, occurred_day DATE, record_count BIGINT);
-- Records that another source had brought already: two doors to one log can be compared.
CREATE TABLE IF NOT EXISTS stg_repeat (record_id VARCHAR, source VARCHAR, occurred_day DATE);
-- Records whose id was in already, with another body: the first one stays.
CREATE TABLE IF NOT EXISTS stg_conflict (
    record_id VARCHAR, source VARCHAR, package_id VARCHAR, occurred_day DATE);
