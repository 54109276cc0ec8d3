-- One row per Copilot or AI app interaction record (types 261, 284, 328, 334).
CREATE TABLE IF NOT EXISTS fct_interaction (
    record_id VARCHAR, occurred_at TIMESTAMPTZ, occurred_day DATE, record_type INTEGER, person_key VARCHAR,
    unit_id VARCHAR, role VARCHAR, user_type VARCHAR, app_host VARCHAR, app_identity VARCHAR, agent_id VARCHAR,
    is_end_user BOOLEAN, exclusion_reason VARCHAR, is_twin BOOLEAN, prompt_count INTEGER, response_count INTEGER,
    resource_count INTEGER, has_jailbreak BOOLEAN, has_jailbreak_field BOOLEAN, has_xpia BOOLEAN,
    has_xpia_field BOOLEAN, has_web_search BOOLEAN, client_region VARCHAR,
    source VARCHAR, package_id VARCHAR, line_no INTEGER);
DELETE FROM fct_interaction WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_interaction
-- Test panes, unattended runs and second records are kept and marked: they are not end-user use.
WITH touched AS (
    SELECT *,
        CASE
            WHEN lower(app_host) = 'copilot studio' THEN 'studio test pane'
            WHEN lower(app_host) = 'pva-maker-evaluation' THEN 'maker evaluation'
            WHEN lower(app_host) = 'agentic-builder' THEN 'agent authoring'
            WHEN lower(app_host) = 'autonomous' THEN 'autonomous run'
            WHEN lower(app_host) = 'workflow-agents' THEN 'workflow run'
            WHEN lower(app_host) = 'm365copilot' AND message_count = 0 THEN 'studio runtime twin'
            WHEN agent_id = '00000000-0000-0000-0000-000000000000' THEN 'Fabric agent'
        END AS exclusion_reason
    FROM stg_interaction WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
),
-- A Copilot Studio turn inside Microsoft 365 Copilot is logged twice within seconds: the runtime record without
-- messages is the twin, the client record counts. Only within a day: what was loaded together must not matter.
twin AS (
    SELECT DISTINCT r.record_id
    FROM touched r JOIN touched c
        ON c.person_key = r.person_key AND c.conversation_key = r.conversation_key
        AND c.message_count > 0 AND c.agent_id LIKE '%.' || r.agent_id
        AND c.occurred_day = r.occurred_day
        AND abs(epoch(c.occurred_at) - epoch(r.occurred_at)) <= 15
    WHERE r.message_count = 0 AND lower(r.app_host) = 'm365copilot'
)
SELECT t.record_id, t.occurred_at, t.occurred_day, t.record_type, coalesce(i.person_key, t.person_key), i.unit_id,
    coalesce(i.role, CASE WHEN t.user_type = 'guest' THEN 'guest'
        WHEN t.user_type IN ('application', 'service_principal', 'system') THEN 'service' ELSE 'unknown' END),
    t.user_type, t.app_host, t.app_identity, t.agent_id,
    t.exclusion_reason IS NULL AS is_end_user,
    t.exclusion_reason,
    w.record_id IS NOT NULL, t.prompt_count, t.response_count, t.resource_count, t.has_jailbreak,
    t.has_jailbreak_field, t.has_xpia, t.has_xpia_field, t.has_web_search, t.client_region,
    t.source, t.package_id, t.line_no
FROM touched t
LEFT JOIN dim_identity i ON i.alias_key = t.person_key
LEFT JOIN twin w ON w.record_id = t.record_id;
COMMENT ON COLUMN fct_interaction.exclusion_reason IS 'Why it is not end-user use; NULL if it is.';
COMMENT ON COLUMN fct_interaction.is_twin IS 'A second record of one turn; the other one counts.';
