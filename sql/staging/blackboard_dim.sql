-- Who is in which course, and what course that is, as the VLE's directory says: one row for each record of any kind.
CREATE TABLE IF NOT EXISTS stg_vle_dimension (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, dimension VARCHAR, source VARCHAR,
    package_id VARCHAR, line_no INTEGER);
-- A course as it was on a day. A VLE record may name it by its id, its number or its batch id: three keys.
CREATE TABLE IF NOT EXISTS stg_vle_course (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, course_key VARCHAR, course_number_key VARCHAR,
    course_batch_key VARCHAR, term_name VARCHAR, term_start DATE, term_end DATE, school VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
-- A person in a course in a role, on the day on which that was seen first.
CREATE TABLE IF NOT EXISTS stg_vle_membership (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, course_key VARCHAR, person_key VARCHAR,
    actor_role VARCHAR, course_role VARCHAR, source VARCHAR, package_id VARCHAR, line_no INTEGER);
