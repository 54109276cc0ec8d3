-- Ten people in one course, as Blackboard's lists say.
CREATE MACRO course_token(number) AS 'co_' || translate(left(md5(number::VARCHAR), 26), '0189', 'wxyz');
CREATE TABLE stg_vle_course AS
SELECT '2026-11-' || n || ':course:_1_1' AS record_id, TIMESTAMPTZ '2026-11-20 03:00:00Z' AS occurred_at,
    DATE '2026-11-20' AS occurred_day, course_token(1) AS course_key, course_token(2) AS course_number_key,
    course_token(3) AS course_batch_key, 'Autumn' AS term_name, DATE '2026-09-21' AS term_start,
    DATE '2026-12-11' AS term_end, 'Arts' AS school, 'blackboard_rest' AS source, 'package-bb' AS package_id,
    1 AS line_no
FROM range(20, 22) AS numbers(n);
CREATE TABLE stg_vle_membership AS
SELECT 'ob_' || n AS record_id, TIMESTAMPTZ '2026-11-20 03:00:00Z' AS occurred_at, DATE '2026-11-20' AS occurred_day,
    course_token(1) AS course_key, person(n) AS person_key, 'student' AS actor_role, 'Student' AS course_role,
    'blackboard_rest' AS source, 'package-bb' AS package_id, (n + 2)::INTEGER AS line_no
FROM range(10) AS numbers(n);
CREATE TABLE stg_vle_dimension AS
SELECT record_id, occurred_at, occurred_day, 'course' AS dimension, source, package_id, line_no FROM stg_vle_course
UNION ALL SELECT record_id, occurred_at, occurred_day, 'membership', source, package_id, line_no FROM stg_vle_membership;
CREATE TABLE dim_course AS
SELECT course_token(n) AS course_key, course_token(n + 20) AS course_number_key, NULL::VARCHAR AS course_batch_key,
    'Autumn' AS term_name, DATE '2026-09-21' AS term_start, DATE '2026-12-11' AS term_end,
    CASE WHEN n > 1 THEN 'Arts' END AS school, DATE '2026-11-20' AS seen_day
FROM range(1, 5) AS numbers(n);
