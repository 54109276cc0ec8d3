-- One row per VLE GenAI record: an artefact, an interaction, a quota counter or an aggregate, never added together.
CREATE TABLE IF NOT EXISTS fct_vle_use (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_kind VARCHAR, person_key VARCHAR,
    actor_role VARCHAR, course_key VARCHAR, school VARCHAR, term_name VARCHAR, feature VARCHAR, tool_name VARCHAR,
    outcome VARCHAR, action_key VARCHAR, quantity BIGINT, base_quantity BIGINT, source VARCHAR, package_id VARCHAR, line_no INTEGER);
-- Blackboard's own items: their AI code is the last part of the id, so that a code that changed made a second record.
CREATE OR REPLACE TEMP TABLE vle_item AS
SELECT u.record_id, u.occurred_day, u.source, regexp_replace(u.record_id, ':[^:]*$', '') AS item_id,
    row_number() OVER (PARTITION BY u.source, item_id
        ORDER BY p.seq DESC NULLS LAST, u.package_id DESC, u.line_no DESC) = 1 AS is_newest
FROM stg_vle_use u LEFT JOIN stg_package p USING (package_id)
WHERE u.record_kind = 'artefact' AND u.source IN ('vle_dda', 'vle_illuminate');
-- A new snapshot of courses or memberships may tell more about any day; a new code replaces a row of another day.
CREATE OR REPLACE TEMP TABLE vle_day AS
SELECT occurred_day FROM touched_day
UNION SELECT occurred_day FROM stg_vle_use
WHERE EXISTS (FROM stg_vle_dimension SEMI JOIN touched_day USING (occurred_day))
UNION SELECT occurred_day FROM vle_item
SEMI JOIN (SELECT source, item_id FROM vle_item SEMI JOIN touched_day USING (occurred_day)) USING (source, item_id);
DELETE FROM fct_vle_use WHERE occurred_day IN (SELECT occurred_day FROM vle_day);
INSERT INTO fct_vle_use
WITH course AS (
    SELECT alias_key, arg_max((course_key, school, term_name), (seen_day, course_key)) AS found
    FROM (SELECT unnest([course_key, course_number_key, course_batch_key]) AS alias_key, * FROM dim_course)
    WHERE alias_key IS NOT NULL GROUP BY alias_key
),
membership AS (
    SELECT course_key, person_key, arg_max(actor_role, (occurred_at, record_id)) AS actor_role
    FROM stg_vle_membership SEMI JOIN stg_vle_use USING (person_key)
    GROUP BY course_key, person_key
)
SELECT v.record_id, v.occurred_at, v.occurred_day, v.record_kind, coalesce(i.person_key, v.person_key),
    -- What a record itself says comes first.
    coalesce(v.actor_role, m.actor_role), v.course_key, coalesce(v.school, c.found[2]),
    coalesce(v.term_name, c.found[3]), v.feature, v.tool_name, v.outcome, v.action_key,
    -- An event stands for itself; how much an aggregate stands for, only its source can say.
    coalesce(v.quantity, CASE WHEN v.record_kind <> 'aggregate' THEN 1 END),
    v.base_quantity, v.source, v.package_id, v.line_no
FROM stg_vle_use v
LEFT JOIN dim_identity i ON i.alias_key = v.person_key
LEFT JOIN course c ON c.alias_key = v.course_key
LEFT JOIN membership m ON m.course_key = coalesce(c.found[1], v.course_key) AND m.person_key = v.person_key
WHERE v.occurred_day IN (SELECT occurred_day FROM vle_day)
    AND v.record_id NOT IN (SELECT record_id FROM vle_item WHERE NOT is_newest);
