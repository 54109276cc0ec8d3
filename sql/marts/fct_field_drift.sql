-- One row per record type and field name that we do not know; counted in the package that had most of it.
CREATE OR REPLACE TABLE fct_field_drift AS
SELECT record_type, field_name, max(record_count)::BIGINT AS record_count, min(package_id) AS first_package_id
FROM stg_field_drift GROUP BY record_type, field_name ORDER BY record_type, field_name;
