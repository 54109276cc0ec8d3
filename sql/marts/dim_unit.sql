-- One row per organisational unit of the register.
CREATE OR REPLACE TABLE dim_unit AS
SELECT u.unit_id, u.unit_name, u.parent_unit_name, count(DISTINCT d.person_key) AS person_count
FROM stg_unit u LEFT JOIN stg_directory d ON d.unit_id = u.unit_id
GROUP BY ALL;
