-- One row per source and UK day with at least one record.
CREATE OR REPLACE TABLE fct_source_day AS
SELECT source, occurred_day, sum(record_count)::BIGINT AS record_count FROM loaded_day GROUP BY source, occurred_day;
