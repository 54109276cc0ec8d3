-- Every record, AI interactions, and the resources they read. In: record, access, policy_outcome, token.

-- One row per record of any type that has an id and a time.
CREATE OR REPLACE TEMP TABLE stg_m365_event AS
SELECT record_id, occurred_at, occurred_day, record_type, known.name AS record_type_name,
  operation_name AS operation, workload, person_key, user_type,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM record LEFT JOIN person USING (person_name) LEFT JOIN record_type_name AS known USING (record_type)
WHERE record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

-- One row per Copilot or AI app event.
CREATE OR REPLACE TEMP TABLE stg_interaction AS
SELECT
  record_id, occurred_at, occurred_day, record_type, operation_name AS operation, person_key, identity_basis, user_type,
  coalesce(user_type = 'guest', false) OR contains(lower(coalesce(person_name, '')), '#ext#') AS is_guest,
  app_host, app_identity, agent_id, agent_platform, thread.token AS thread_key, conversation.token AS conversation_key,
  client_region, license_type, model_name,
  coalesce(message_count, 0)::INTEGER AS message_count, coalesce(prompt_count, 0)::INTEGER AS prompt_count,
  coalesce(message_count - prompt_count, 0)::INTEGER AS response_count, coalesce(len(resources), 0)::INTEGER AS resource_count,
  coalesce(jailbreak, false) AS has_jailbreak, jailbreak IS NOT NULL AS has_jailbreak_field,
  coalesce(injection, false) AS has_xpia, injection IS NOT NULL AS has_xpia_field,
  coalesce(has_web_search, false) AS has_web_search, TRY_CAST(dlp_deferred AS INTEGER) AS dlp_deferred_mask,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM (SELECT *, list_bool_or([one.XPIADetected for one in resources]) AS injection FROM record)
LEFT JOIN person USING (person_name)
LEFT JOIN thread ON thread.name = thread_name
LEFT JOIN thread AS conversation ON conversation.name = conversation_name
WHERE record_type IN (261, 284, 328, 334) AND record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

-- One row per resource that an AI event read or wrote: tokens, type, label, policy; no name, path or address.
CREATE OR REPLACE TEMP TABLE stg_resource_access AS
SELECT
  event.record_id, access.resource_no, event.occurred_at, event.occurred_day, event.record_type, event.person_key, event.app_host,
  resource_key, access.resource_type, site_key,
  coalesce(site.site_type, CASE lower(access.resource_type) WHEN 'emailmessage' THEN 'mail' WHEN 'websearchquery' THEN 'web' END, 'other')
    AS site_type,
  access.label_id, access.action, access.access_status,
  CASE WHEN policy.is_block OR (policy.is_block_when_failed AND access.access_status = 'failure') THEN 'blocked'
    WHEN policy.is_hit THEN 'audited' ELSE 'none' END AS policy_outcome,
  coalesce(policy.has_anomaly, false) AS has_policy_anomaly,
  access.has_xpia,
  event.source, event.package_id, event.line_no
FROM access
JOIN stg_interaction AS event USING (line_no)
LEFT JOIN resource USING (resource_name)
LEFT JOIN site USING (site_name)
LEFT JOIN policy_outcome AS policy USING (policy_details)
ORDER BY event.line_no, access.resource_no;
