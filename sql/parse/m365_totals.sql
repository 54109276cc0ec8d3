-- Counts that add up over all batches of a package. Run once, after the last batch.
CREATE OR REPLACE TEMP TABLE stg_field_drift AS
SELECT getvariable('package_id') AS package_id, getvariable('source') AS source, record_type, field_name,
  sum(record_count)::BIGINT AS record_count
FROM field_count
GROUP BY ALL
ORDER BY record_type NULLS LAST, field_name;
