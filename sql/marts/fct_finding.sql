-- One row per finding: a lead for a named human to look at, not a verdict.
CREATE OR REPLACE TABLE fct_finding AS SELECT * FROM stg_finding ORDER BY found_day, detection, finding_id;
