-- One row per course of the VLE, as its newest snapshot shows it.
CREATE OR REPLACE TABLE dim_course AS
SELECT course_key, course_number_key, course_batch_key, term_name, term_start, term_end, school, occurred_day AS seen_day
FROM stg_vle_course
QUALIFY row_number() OVER (PARTITION BY course_key ORDER BY occurred_at DESC, record_id DESC) = 1;
