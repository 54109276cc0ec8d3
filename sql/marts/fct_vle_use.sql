-- One row per VLE GenAI record: an artefact, an interaction, a quota counter or an aggregate, never added together.
CREATE TABLE IF NOT EXISTS fct_vle_use (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_kind VARCHAR, person_key VARCHAR,
    actor_role VARCHAR, course_key VARCHAR, school VARCHAR, term_name VARCHAR, feature VARCHAR, tool_name VARCHAR,
    outcome VARCHAR, quantity BIGINT, base_quantity BIGINT, source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_vle_use WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_vle_use
SELECT v.record_id, v.occurred_at, v.occurred_day, v.record_kind, coalesce(i.person_key, v.person_key),
    v.actor_role, v.course_key, v.school, v.term_name, v.feature, v.tool_name, v.outcome,
    -- An event stands for itself; how much an aggregate stands for, only its source can say.
    coalesce(v.quantity, CASE WHEN v.record_kind <> 'aggregate' THEN 1 END),
    v.base_quantity, v.source, v.package_id, v.line_no
FROM stg_vle_use v LEFT JOIN dim_identity i ON i.alias_key = v.person_key
WHERE v.occurred_day IN (SELECT occurred_day FROM touched_day);
