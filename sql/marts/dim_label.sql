-- One row per sensitivity label and period of validity.
CREATE OR REPLACE TABLE dim_label AS
SELECT label_id, label_name, label_rank, valid_from, valid_to FROM stg_label;
