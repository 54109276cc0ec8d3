-- Snapshots of the directory and the label catalogue, and the usage report: two days of ten people.
CREATE TABLE stg_directory_snapshot AS
SELECT occurred_day || ':' || person_key AS record_id, occurred_at, occurred_day, person_key,
    person(line_no + 100) AS alias_key, 'Arts' AS department, 'Lecturer' AS job_title, 'Staff' AS employee_type,
    'staff' AS role, true AS is_enabled, NULL::BOOLEAN AS has_copilot_licence, 'm365_directory' AS source,
    'package-directory-' || occurred_day AS package_id, line_no
FROM stg_m365_event WHERE occurred_day >= DATE '2026-11-22';

CREATE TABLE stg_label_catalogue AS
SELECT occurred_day || ':l' || line_no AS record_id, occurred_at, occurred_day, 'l' || line_no AS label_id,
    'Label ' || line_no AS label_name, NULL::VARCHAR AS parent_label_id, line_no AS priority, false AS has_protection,
    'm365_labels' AS source, 'package-labels-' || occurred_day AS package_id, line_no
FROM stg_m365_event WHERE occurred_day >= DATE '2026-11-22' AND line_no <= 5;

CREATE TABLE stg_copilot_usage AS
SELECT occurred_day || ':' || person_key AS record_id, occurred_at, occurred_day, person_key, false AS is_concealed,
    occurred_day - 2 AS report_day, 7 AS report_length, occurred_day - 2 AS last_activity_day, 1 AS active_app_count,
    'm365_copilot_usage' AS source, 'package-usage-' || occurred_day AS package_id, line_no
FROM stg_m365_event WHERE occurred_day >= DATE '2026-11-22';

CREATE TABLE dim_person_period AS
SELECT person_key, DATE '2026-11-22' AS valid_from, NULL::DATE AS valid_to, 'Arts' AS department, 'u1' AS unit_id, role,
    is_enabled, has_copilot_licence
FROM stg_directory_snapshot WHERE occurred_day = DATE '2026-11-22'
UNION ALL
SELECT person(1), DATE '2026-09-01', DATE '2026-11-21', 'Arts', 'u1', 'student', true, NULL;

CREATE TABLE fct_usage_reconciliation AS
SELECT report_day AS usage_day, count(*) AS report_user_count, count(*) AS audit_user_count, 0::BIGINT AS user_difference,
    0.0::DOUBLE AS difference_share, 0.1::DOUBLE AS tolerance, 'within' AS reconciliation_status,
    'none needed' AS known_reasons
FROM stg_copilot_usage GROUP BY report_day
UNION ALL
SELECT DATE '2026-11-19', NULL, 10, NULL, NULL, 0.1, 'no report', 'the report must be read daily';
