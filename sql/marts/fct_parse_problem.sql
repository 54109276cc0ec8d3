-- One row per source and kind of trouble that parsing met; no record was dropped because of it.
CREATE OR REPLACE TABLE fct_parse_problem AS
SELECT source, problem, count(*) AS record_count FROM stg_parse_problem GROUP BY source, problem ORDER BY ALL;
