-- One row per quality check and run.
CREATE OR REPLACE TABLE fct_quality AS SELECT * FROM stg_quality ORDER BY ALL;
