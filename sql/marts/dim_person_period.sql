-- One row per person and period in which the directory snapshots showed one department, role and state.
-- A period begins on the first day that showed it: before the first snapshot nothing is known. It ends the day before
-- another state was seen; for who left, with the last day that had them. A short absence in between is not shown.
CREATE OR REPLACE TABLE dim_person_period AS
WITH shown AS (
    SELECT person_key, occurred_at, occurred_day,
        struct_pack(department, role, is_enabled, has_copilot_licence) AS state,
        lag(struct_pack(department, role, is_enabled, has_copilot_licence))
            OVER (PARTITION BY person_key ORDER BY occurred_at) AS earlier_state
    FROM stg_directory_snapshot
),
period AS (
    SELECT person_key, state, occurred_day AS valid_from,
        lead(occurred_day) OVER (PARTITION BY person_key ORDER BY occurred_at) - 1 AS last_day
    FROM shown WHERE state IS DISTINCT FROM earlier_state
),
person AS (SELECT person_key, max(occurred_day) AS last_seen FROM stg_directory_snapshot GROUP BY person_key),
-- Only a list that was read to its end shows that somebody is no longer on it.
newest AS (
    SELECT max(s.occurred_day) AS whole_day FROM stg_directory_snapshot s
    JOIN stg_package p ON p.package_id = s.package_id AND p.source = s.source AND p.outcome = 'complete'
),
unit_word AS (
    SELECT lower(trim(word)) AS word, arg_min(unit_id, rank) AS unit_id
    FROM (SELECT unit_id AS word, unit_id, 1 AS rank FROM stg_unit UNION ALL SELECT unit_name, unit_id, 2 FROM stg_unit)
    GROUP BY ALL
)
SELECT coalesce(i.person_key, d.person_key) AS person_key, d.valid_from,
    coalesce(d.last_day, CASE WHEN p.last_seen < n.whole_day THEN p.last_seen END) AS valid_to,
    d.state.department AS department, u.unit_id, d.state.role AS role, d.state.is_enabled AS is_enabled,
    d.state.has_copilot_licence AS has_copilot_licence
FROM period d
JOIN person p USING (person_key)
CROSS JOIN newest n
LEFT JOIN dim_identity i ON i.alias_key = d.person_key
LEFT JOIN unit_word u ON u.word = lower(trim(d.state.department))
-- Two snapshots of one UK day (an hour of summer time belongs to the next): the later one counts.
WHERE d.last_day IS NULL OR d.last_day >= d.valid_from;
COMMENT ON COLUMN dim_person_period.valid_to IS 'Last day of the period; NULL while it lasts.';
