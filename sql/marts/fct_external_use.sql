-- One row per recorded use of an AI tool outside Microsoft 365 Copilot (types 284 and 328, endpoint DLP 63).
CREATE TABLE IF NOT EXISTS fct_external_use (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR, unit_id VARCHAR,
    tool_id VARCHAR, tool_name VARCHAR, tool_status VARCHAR, channel VARCHAR, operation VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_external_use WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_external_use
WITH used AS (
    SELECT record_id, occurred_at, occurred_day, person_key, operation, source, package_id, line_no,
        CASE record_type WHEN 284 THEN 'ai_app' ELSE 'connected_app' END AS channel,
        'app_identity' AS match_kind, lower(coalesce(app_identity, app_host)) AS seen
    FROM stg_interaction
    WHERE record_type IN (284, 328) AND occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT record_id, occurred_at, occurred_day, person_key, operation, source, package_id, line_no,
        'endpoint_dlp', 'domain', lower(target_domain)
    FROM stg_dlp_event
    WHERE channel = 'endpoint' AND target_domain IS NOT NULL
        AND occurred_day IN (SELECT occurred_day FROM touched_day)
),
-- The longest entry of the register that fits names the tool: chat.example.com before example.com.
matched AS (
    SELECT s.match_kind, s.seen, arg_max(t.tool_id, length(t.match_value)) AS tool_id
    FROM (SELECT DISTINCT match_kind, seen FROM used) s
    JOIN stg_tool t ON t.match_kind = s.match_kind
        AND (s.seen = lower(t.match_value)
            OR (s.match_kind = 'domain' AND ends_with(s.seen, '.' || lower(t.match_value)))
            OR (s.match_kind = 'app_identity' AND starts_with(s.seen, lower(t.match_value) || '.')))
    GROUP BY ALL
)
SELECT u.record_id, u.occurred_at, u.occurred_day, coalesce(i.person_key, u.person_key), i.unit_id,
    -- A name that is not in the register is shown only if it looks like one: it is text from a log.
    coalesce(m.tool_id, nullif(regexp_extract(u.seen, '^[a-z0-9][a-z0-9._ -]{0,79}$', 0), ''), 'not stated'),
    coalesce(d.tool_name, nullif(regexp_extract(u.seen, '^[a-z0-9][a-z0-9._ -]{0,79}$', 0), ''), 'not stated'),
    coalesce(d.tool_status, 'unknown'), u.channel, u.operation, u.source, u.package_id, u.line_no
FROM used u
LEFT JOIN matched m ON m.match_kind = u.match_kind AND m.seen = u.seen
LEFT JOIN dim_tool d ON d.tool_id = m.tool_id
LEFT JOIN dim_identity i ON i.alias_key = u.person_key
-- A device sends files to many sites; only those that the register knows as AI tools are AI use.
WHERE u.channel <> 'endpoint_dlp' OR m.tool_id IS NOT NULL;
