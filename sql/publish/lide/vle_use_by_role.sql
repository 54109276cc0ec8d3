-- One row per role and kind of record, and one total per kind; small groups suppressed, other numbers rounded.
WITH newest AS (  -- an aggregate is a state on a day, exported again and again: only its newest one counts
    SELECT * FROM fct_vle_use
    QUALIFY record_kind IS DISTINCT FROM 'aggregate' OR occurred_day = max(occurred_day) OVER (
        PARTITION BY source, record_kind, person_key, coalesce(course_key, school), term_name, feature, tool_name)
), part AS (  -- what one contributor made: a person, or where none is known, a course
    SELECT coalesce(actor_role, 'not stated') AS actor_role, record_kind, person_key,
        CASE WHEN person_key IS NULL THEN course_key END AS course_key, sum(quantity)::BIGINT AS events
    FROM newest GROUP BY ALL
)
SELECT actor_role, record_kind, nullif(count(person_key) FILTER (events > 0), 0) AS person_count,
    count(course_key) FILTER (events > 0) AS contributor_count, sum(events)::BIGINT AS event_count,
    max(events) AS top_one, list_sum(max(events, 2))::BIGINT AS top_two
FROM part GROUP BY ALL ORDER BY ALL;
