-- One row per record: envelope and Copilot fields with types; lists and rare parts still as they are.
-- In: line, special_line, wrapped_line, rebuilt. Out: record.
-- AuditData wins over outer columns; outer columns are the fallback (facts/m365.md §7).

-- Number, digits in a string, or a name; else what the operation says.
CREATE OR REPLACE MACRO read_record_type(inner_type, outer_type, operation) AS coalesce(
  TRY_CAST(inner_type AS INTEGER), TRY_CAST(outer_type AS INTEGER),
  getvariable('type_numbers')[lower(outer_type)], getvariable('type_numbers')[lower(operation)]);

-- Outer columns of exports are in the exporter's culture (facts/m365.md §7.2); month first is Microsoft's own.
CREATE OR REPLACE MACRO read_outer_time(value) AS coalesce(read_time(value),
  TRY_STRPTIME(trim(value), ['%m/%d/%Y %I:%M:%S %p', '%m/%d/%Y %H:%M:%S', '%m/%d/%Y %H:%M'])::TIMESTAMPTZ);

CREATE OR REPLACE TEMP TABLE record AS
SELECT
  line_no,
  coalesce(filled(body.Id), filled(id)) AS record_id,
  coalesce(read_time(body.CreationTime), read_outer_time(createdDateTime)) AS occurred_at,
  uk_day(occurred_at) AS occurred_day,
  coalesce(filled(body.Operation), filled(operation)) AS operation_name,
  read_record_type(body.RecordType, auditLogRecordType, operation_name) AS record_type,
  coalesce(filled(body.Workload), filled(service)) AS workload,
  -- The DLP service writes as an assistant account; the person is in the metadata (facts/m365.md §3.5).
  coalesce(
    CASE WHEN record_type IN (11, 13, 33, 107)
      THEN coalesce(filled(body.SharePointMetaData."From"), filled(body.ExchangeMetaData."From")) END,
    filled(body.UserId), filled(userId), filled(userPrincipalName)) AS person_name,
  coalesce(read_user_type(body.UserType), read_user_type(userType)) AS user_type,
  coalesce(filled(body.ObjectId), filled(objectId)) AS object_name,
  concat_ws(' ', auditLogRecordType, dataType, body."@odata.type") AS type_words,
  body.AppIdentity AS app_identity, body.AgentId AS agent_id, body.AgentPlatform AS agent_platform, body.ClientRegion AS client_region,
  body.LicenseType AS license_type, body.CopilotEventData IS NULL AS has_no_event,
  unnest(struct_pack(
    AppHost := event.AppHost, ThreadId := event.ThreadId, ConversationId := event.ConversationId)),
  body.PolicyDetails AS policies, body.rest AS rest
FROM (
  SELECT 1
);
