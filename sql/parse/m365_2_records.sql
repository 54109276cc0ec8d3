-- One row per record: envelope and Copilot fields with types; lists and rare parts still as they are.
-- In: line, special_line, wrapped_line, rebuilt, agent_line. Out: record.
-- AuditData wins over outer columns; outer columns are the fallback (facts/m365.md §7).

-- Outer columns of exports are in the exporter's culture (facts/m365.md §7.2); month first is Microsoft's own.
CREATE OR REPLACE MACRO read_outer_time(value) AS coalesce(read_time(value),
  TRY_STRPTIME(trim(value), ['%m/%d/%Y %I:%M:%S %p', '%m/%d/%Y %H:%M:%S', '%m/%d/%Y %H:%M'])::TIMESTAMPTZ);

-- AppIdentity may be an object with DisplayName and AppId instead of a string (facts/m365.md §3.2).
CREATE OR REPLACE MACRO read_app_identity(value) AS filled(CASE WHEN json_type(value) = 'OBJECT'
  THEN coalesce(value ->> '$.DisplayName', value ->> '$.AppId') ELSE value ->> '$' END);

-- The person in a DLP record's metadata, which some pipelines write as text.
CREATE OR REPLACE MACRO read_sender(metadata) AS CASE WHEN metadata IS NOT NULL THEN filled(open_object(metadata) ->> '$.From') END;

CREATE OR REPLACE TEMP TABLE record AS
-- What is published as it stands is made safe here, once.
SELECT * REPLACE (
  safe_id(record_id) AS record_id, coalesce(object_name, agent_id, setting_name) AS object_name,
  safe_word(operation_name) AS operation_name, safe_word(workload) AS workload, safe_word(app_host) AS app_host,
  safe_word(app_identity) AS app_identity, safe_word(agent_id) AS agent_id, safe_word(agent_platform) AS agent_platform,
  safe_word(client_region) AS client_region, safe_word(license_type) AS license_type, safe_word(model_name) AS model_name,
  safe_word(application_name) AS application_name)
FROM (
  SELECT
    line_no,
    coalesce(filled(body.Id), filled(id)) AS record_id,
    occurred_at,
    uk_day(occurred_at) AS occurred_day,
    coalesce(filled(body.Operation), filled(operation)) AS operation_name,
    coalesce(TRY_CAST(body.RecordType AS INTEGER), TRY_CAST(auditLogRecordType AS INTEGER)) AS record_type,
    coalesce(filled(body.Workload), filled(service)) AS workload,
    -- The DLP service writes as an assistant account; the person is in the metadata (facts/m365.md §3.5).
    coalesce(read_sender(body.SharePointMetaData), read_sender(body.ExchangeMetaData), filled(body.UserId), filled(userId),
      filled(userPrincipalName)) AS person_name,
    CASE WHEN body.SharePointMetaData IS NOT NULL THEN 11 WHEN body.ExchangeMetaData IS NOT NULL THEN 13 END AS dlp_type,
    coalesce(read_user_type(body.UserType), read_user_type(userType),
      CASE WHEN filled(trim(concat(body.UserType, userType))) IS NOT NULL THEN 'other' END) AS user_type,
    coalesce(filled(body.ObjectId), filled(objectId)) AS object_name,
    coalesce(filled(body.Property), filled(body.AutomationId)) AS setting_name,
    lower(coalesce(filled(auditLogRecordType), body.RecordType)) AS type_name,
    concat_ws(' ', auditLogRecordType, dataType, body."@odata.type") AS type_words,
    -- AI interactions. Prompts are distinct message ids (facts/m365.md §4.1); a message without an id counts as one.
    filled(event.AppHost) AS app_host,
    coalesce(read_app_identity(body.AppIdentity), read_app_identity(event.AppIdentity)) AS app_identity,
    coalesce(filled(body.AgentId), filled(event.AgentId)) AS agent_id,
    coalesce(filled(body.AgentPlatform), filled(event.AgentPlatform)) AS agent_platform,
    filled(event.ThreadId) AS thread_name,
    filled(event.ConversationId) AS conversation_name,
    filled(body.ClientRegion) AS client_region,
    coalesce(filled(event.LicenseType), filled(body.LicenseType)) AS license_type,
    list_filter([filled(one.ModelName) for one in event.ModelTransparencyDetails], lambda name: name IS NOT NULL)[1] AS model_name,
    event IS NULL AS has_no_event, event.Messages IS NULL AS has_no_messages,
    list_unique(message_ids) + len(message_ids) - list_count(message_ids) AS message_count,
    CASE WHEN len(prompt_ids) < 2 THEN len(prompt_ids)
      ELSE list_unique(prompt_ids) + len(prompt_ids) - list_count(prompt_ids) END AS prompt_count,
    list_bool_or([one.JailbreakDetected for one in event.Messages]) AS jailbreak,
    list_bool_or([lower(one.Id) = 'bingwebsearch' for one in event.AISystemPlugin]) AS has_web_search,
    event.DLPEvaluationDeferred AS dlp_deferred,
    event.AccessedResources AS resources,
    -- DLP and labels
    body.PolicyDetails AS policies, filled(body.IncidentId) AS incident_name, body.EndpointMetaData AS endpoint,
    body.EnforcementMode AS enforcement, body.TargetDomain AS target_name, body.TargetUrl AS target_url,
    body.PolicyMatchInfo AS policy_match, body.SensitivityLabelEventData AS label_data, body.SensitivityLabelId AS label_name,
    body.SourceLabel AS source_label, body.DestinationLabel AS destination_label, body.LabelId AS mail_label,
    body.ApplicationMode AS application_mode, filled(body.Common.ApplicationName) AS application_name
  FROM (
    SELECT *, body.CopilotEventData AS event,
      coalesce(read_time(body.CreationTime), read_outer_time(createdDateTime)) AS occurred_at,
      [one.Id for one in body.CopilotEventData.Messages] AS message_ids,
      [one.Id for one in body.CopilotEventData.Messages if one.isPrompt] AS prompt_ids
    FROM (
      SELECT line_no, unnest(from_json(line, '{' || outer_shape() || ', "auditData": ' || body_shape() || '}')) FROM (
        FROM line ANTI JOIN special_line USING (line_no) UNION ALL SELECT line_no, line FROM rebuilt)
      UNION ALL BY NAME
      SELECT * EXCLUDE (auditData), from_json(auditData.dynamicProperties, body_shape()) AS auditData, auditData."@odata.type" AS dataType
      FROM (
        SELECT line_no, unnest(from_json(line, '{' || outer_shape()
          || ', "auditData": {"@odata.type": "VARCHAR", "dynamicProperties": "JSON"}}'))
        FROM line SEMI JOIN wrapped_line USING (line_no))
    ) AS both_layouts(line_no, id, createdDateTime, auditLogRecordType, operation, userType, userId, userPrincipalName, service,
        objectId, body, dataType)
  )
);

-- No number: the outer name says the type, else the name of the payload, else the operation, else a DLP record's metadata.
UPDATE record SET record_type = known.record_type FROM record_type_name AS known
WHERE record.record_type IS NULL AND lower(known.name) = record.type_name;
UPDATE record SET record_type = known.record_type FROM record_type_name AS known
WHERE record.record_type IS NULL
  AND lower(known.name) = regexp_extract(lower(record.type_words), '#microsoft\.graph\.security\.(\w+?)(?:audit)?record$', 1);
UPDATE record SET record_type = known.record_type FROM record_type_name AS known
WHERE record.record_type IS NULL AND lower(known.name) = lower(record.operation_name);
UPDATE record SET record_type = dlp_type
WHERE record_type IS NULL AND dlp_type IS NOT NULL AND lower(operation_name) IN ('dlprulematch', 'dlpruleundo', 'dlpinfo');
UPDATE record SET type_words = type_words || ' AgentAdmin' WHERE line_no IN (FROM agent_line);
