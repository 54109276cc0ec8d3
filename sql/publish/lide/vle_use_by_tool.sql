-- One row per tool and kind of record; small groups suppressed, other numbers rounded.
WITH newest AS (  -- an aggregate is a state on a day, exported again and again: only its newest one counts
    SELECT * FROM fct_vle_use
    QUALIFY record_kind IS DISTINCT FROM 'aggregate' OR occurred_day = max(occurred_day) OVER (
        PARTITION BY source, record_kind, person_key, coalesce(course_key, school), term_name, feature, tool_name)
), common AS (  -- rare texts stand as 'other': what few contributors brought in may be free text about them
    SELECT tool_name FROM newest WHERE quantity > 0 GROUP BY ALL
    HAVING greatest(count(DISTINCT person_key), count(DISTINCT course_key) FILTER (person_key IS NULL))
        >= getvariable('suppress_below')
), part AS (  -- what one contributor made: a person, or where none is known, a course
    SELECT CASE WHEN tool_name IS NULL THEN 'not stated' WHEN tool_name IN (FROM common) THEN tool_name
            ELSE 'other' END AS tool_name, record_kind, person_key,
        CASE WHEN person_key IS NULL THEN course_key END AS course_key, sum(quantity)::BIGINT AS events
    FROM newest GROUP BY ALL
)
SELECT tool_name, record_kind, nullif(count(person_key) FILTER (events > 0), 0) AS person_count,
    count(course_key) FILTER (events > 0) AS contributor_count, sum(events)::BIGINT AS event_count,
    max(events) AS top_one, list_sum(max(events, 2))::BIGINT AS top_two
FROM part GROUP BY ALL ORDER BY ALL;
