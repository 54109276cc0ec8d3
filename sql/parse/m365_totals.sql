-- Counts that add up over all batches of a package. Run once, after the last batch. A key may be anything, even an account.
CREATE OR REPLACE TEMP TABLE stg_field_drift AS
SELECT getvariable('package_id') AS package_id, getvariable('source') AS source, record_type, safe_word(field_name) AS field_name,
  sum(record_count)::BIGINT AS record_count
FROM field_count
GROUP BY record_type, safe_word(field_name)
ORDER BY record_type NULLS LAST, field_name;
TRUNCATE field_count;
