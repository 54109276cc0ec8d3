-- One row per recorded use of an AI tool outside Microsoft 365 Copilot, or per sum or grant of it that a feed gives.
CREATE TABLE IF NOT EXISTS fct_external_use (
    record_id VARCHAR, record_kind VARCHAR, is_use BOOLEAN, occurred_at TIMESTAMPTZ, occurred_day DATE, person_key VARCHAR,
    unit_id VARCHAR, tool_id VARCHAR, tool_name VARCHAR, tool_status VARCHAR, channel VARCHAR, operation VARCHAR,
    event_count BIGINT, person_count BIGINT, byte_count BIGINT, risk_tier INTEGER,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_external_use WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_external_use
WITH used AS (
    SELECT record_id, 'event' AS record_kind, true AS is_use, occurred_at, occurred_day, person_key, operation, source,
        package_id, line_no, CASE record_type WHEN 284 THEN 'ai_app' ELSE 'connected_app' END AS channel,
        'app_identity' AS match_kind, lower(coalesce(app_identity, app_host)) AS seen, 1 AS event_count,
        NULL AS person_count, NULL AS byte_count, NULL AS risk_tier
    FROM stg_interaction
    WHERE record_type IN (284, 328) AND occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT record_id, 'event', true, occurred_at, occurred_day, person_key, operation, source, package_id, line_no,
        'endpoint_dlp', 'domain', lower(target_domain), 1, NULL, NULL, NULL
    FROM stg_dlp_event
    WHERE channel = 'endpoint' AND target_domain IS NOT NULL
        AND occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT record_id, record_kind, is_use, occurred_at, occurred_day, person_key, operation, source, package_id, line_no,
        channel, match_kind, lower(match_value), event_count, person_count, byte_count, risk_tier
    FROM stg_external_use WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
),
seen_value AS (
    SELECT DISTINCT match_kind, seen, split_part(seen, '/', 1) AS host,
        substr(seen, length(split_part(seen, '/', 1)) + 2) AS path
    FROM used
),
entry AS (
    SELECT tool_id, tool_name, tool_status, match_kind, value, effective_from, effective_to,
        split_part(value, '/', 1) AS host, substr(value, length(split_part(value, '/', 1)) + 2) AS path
    FROM (SELECT *, trim(lower(match_value), '/') AS value FROM stg_tool)
),
-- A host may stand with a path, of whole parts: /chat is not in /chatter. A port is not part of either.
fitting AS (
    SELECT s.match_kind, s.seen, t.tool_id, t.tool_name, t.tool_status, t.value, t.effective_from, t.effective_to
    FROM seen_value s
    JOIN entry t ON t.match_kind = s.match_kind
        AND (s.seen = t.value
            OR (s.match_kind = 'domain' AND starts_with(s.path, t.path)
                AND (t.path = '' OR substr(s.path, length(t.path) + 1, 1) IN ('', '/', '?', '#'))
                AND (s.host = t.host OR ends_with(s.host, '.' || t.host)))
            OR (s.match_kind = 'app_identity' AND starts_with(s.seen, t.value || '.')))
),
-- An event is judged by the row that was in force on its day; of several, the longest entry names the tool:
-- chat.example.com before example.com, and example.com/assistant before both.
matched AS (
    SELECT d.match_kind, d.seen, d.occurred_day, f.tool_id, f.tool_name, f.tool_status,
        d.occurred_day >= coalesce(f.effective_from, d.occurred_day)
            AND d.occurred_day <= coalesce(f.effective_to, d.occurred_day) AS is_in_force
    FROM (SELECT DISTINCT match_kind, seen, occurred_day FROM used) d
    JOIN fitting f ON f.match_kind = d.match_kind AND f.seen = d.seen
    QUALIFY row_number() OVER (
        PARTITION BY d.match_kind, d.seen, d.occurred_day
        ORDER BY is_in_force DESC, length(f.value) DESC, f.effective_from DESC NULLS LAST, f.tool_id) = 1
),
-- A name that is not in the register is shown only if it looks like one: it is text from a log.
named AS (
    SELECT *, CASE WHEN seen <> 'withheld'
        THEN nullif(regexp_extract(seen, '^[a-z0-9][a-z0-9._ -]{0,79}$', 0), '') END AS plain_name
    FROM used
)
SELECT u.record_id, u.record_kind, u.is_use, u.occurred_at, u.occurred_day, coalesce(i.person_key, u.person_key), i.unit_id,
    coalesce(m.tool_id, u.plain_name, 'not stated'), coalesce(m.tool_name, u.plain_name, 'not stated'),
    -- A tool that the register knows, but has no row of for this day, was neither approved nor forbidden on it.
    CASE WHEN m.tool_id IS NULL THEN 'unknown' WHEN m.is_in_force THEN m.tool_status ELSE 'not in force' END,
    u.channel, u.operation, u.event_count, u.person_count, u.byte_count,
    u.risk_tier, u.source, u.package_id, u.line_no
FROM named u
LEFT JOIN matched m ON m.match_kind = u.match_kind AND m.seen = u.seen AND m.occurred_day = u.occurred_day
LEFT JOIN dim_identity i ON i.alias_key = u.person_key
-- People and devices reach many sites and apps; only those that the register knows as AI tools are AI use. The
-- other feeds say themselves that what they saw is AI.
WHERE u.channel IN ('ai_app', 'connected_app', 'cloud_discovery') OR m.tool_id IS NOT NULL;
COMMENT ON COLUMN fct_external_use.person_count IS 'People behind an aggregate, as its feed states; NULL for others.';
COMMENT ON COLUMN fct_external_use.tool_status IS 'As the register says for that day; unknown; or not in force.';
