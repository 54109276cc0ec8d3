-- One row per run that wrote.
CREATE OR REPLACE TABLE fct_run AS SELECT * FROM stg_run ORDER BY started_at, run_id;
