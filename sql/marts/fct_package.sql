-- One row per landed package: what was asked, what came, what was set aside.
CREATE OR REPLACE TABLE fct_package AS SELECT * FROM stg_package ORDER BY seq;
