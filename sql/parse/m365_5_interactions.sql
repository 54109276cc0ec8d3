-- Every record, AI interactions, and the resources they read. In: record, access, policy_outcome, token.


-- One row per record of any type that has an id and a time.
CREATE OR REPLACE TEMP TABLE stg_m365_event AS
SELECT record_id, occurred_at, occurred_day, record_type, getvariable('type_names')[record_type] AS record_type_name,
  operation_name AS operation, workload, person_key, user_type,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM record LEFT JOIN person USING (person_name)
WHERE record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

-- AppIdentity may be an object with DisplayName and AppId instead of a string (facts/m365.md §3.2).
CREATE OR REPLACE MACRO read_app_identity(value) AS filled(CASE WHEN json_type(value) = 'OBJECT'
  THEN coalesce(value ->> '$.DisplayName', value ->> '$.AppId') ELSE value ->> '$' END);

-- One row per Copilot or AI app event. Prompts are distinct message ids (facts/m365.md §4.1).
CREATE OR REPLACE TEMP TABLE stg_interaction AS
SELECT
  record_id, occurred_at, occurred_day, record_type, operation_name AS operation, person_key, identity_basis, user_type,
  coalesce(user_type = 'guest', false) OR contains(lower(coalesce(person_name, '')), '#ext#') AS is_guest,
  filled(event.AppHost) AS app_host,
  coalesce(read_app_identity(body.AppIdentity), read_app_identity(event.AppIdentity)) AS app_identity,
  coalesce(filled(body.AgentId), filled(event.AgentId)) AS agent_id,
  coalesce(filled(body.AgentPlatform), filled(event.AgentPlatform)) AS agent_platform,
  thread.token AS thread_key,
  conversation.token AS conversation_key,
  filled(body.ClientRegion) AS client_region,
  coalesce(filled(event.LicenseType), filled(body.LicenseType)) AS license_type,
  list_filter([filled(model.ModelName) for model in event.ModelTransparencyDetails], lambda name: name IS NOT NULL)[1] AS model_name,
  (len(list_distinct(message_ids)) + nameless_count)::INTEGER AS message_count,
  (len(list_distinct(prompt_ids)) + nameless_prompt_count)::INTEGER AS prompt_count,
  message_count - prompt_count AS response_count,
  coalesce(len(event.AccessedResources), 0)::INTEGER AS resource_count,
  coalesce(list_bool_or([message.JailbreakDetected for message in event.Messages]), false) AS has_jailbreak,
  list_bool_or([message.JailbreakDetected for message in event.Messages]) IS NOT NULL AS has_jailbreak_field,
  coalesce(list_bool_or([one.XPIADetected for one in event.AccessedResources]), false) AS has_xpia,
  list_bool_or([one.XPIADetected for one in event.AccessedResources]) IS NOT NULL AS has_xpia_field,
  coalesce(list_bool_or([lower(plugin.Id) = 'bingwebsearch' for plugin in event.AISystemPlugin]), false) AS has_web_search,
  TRY_CAST(event.DLPEvaluationDeferred AS INTEGER) AS dlp_deferred_mask,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM (
  SELECT *,
    coalesce([message.Id for message in event.Messages], []) AS message_ids,
    coalesce([message.Id for message in event.Messages if message.isPrompt], []) AS prompt_ids,
    len([1 for message in message_ids if message IS NULL]) AS nameless_count,
    len([1 for message in prompt_ids if message IS NULL]) AS nameless_prompt_count
  FROM (SELECT *, body.CopilotEventData AS event FROM record)
  WHERE record_type IN (261, 284, 328, 334) AND record_id IS NOT NULL AND occurred_at IS NOT NULL
) AS interaction
LEFT JOIN person USING (person_name)
LEFT JOIN thread ON thread.name = filled(event.ThreadId)
LEFT JOIN thread AS conversation ON conversation.name = filled(event.ConversationId)
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
