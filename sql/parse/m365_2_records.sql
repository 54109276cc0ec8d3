-- One row per record: envelope with types, the body still nested. In: line, odd_line, rebuilt. Out: record.
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
  coalesce(filled(auditData.Id), filled(id)) AS record_id,
  coalesce(read_time(auditData.CreationTime), read_outer_time(createdDateTime)) AS occurred_at,
  uk_day(occurred_at) AS occurred_day,
  coalesce(filled(auditData.Operation), filled(operation)) AS operation_name,
  read_record_type(auditData.RecordType, auditLogRecordType, operation_name) AS record_type,
  coalesce(filled(auditData.Workload), filled(service)) AS workload,
  -- The DLP service writes as an assistant account; the person is in the metadata (facts/m365.md §3.5).
  coalesce(
    CASE WHEN record_type IN (11, 13, 33, 107)
      THEN coalesce(filled(auditData.SharePointMetaData."From"), filled(auditData.ExchangeMetaData."From")) END,
    filled(auditData.UserId), filled(userId), filled(userPrincipalName)) AS person_name,
  coalesce(read_user_type(auditData.UserType), read_user_type(userType)) AS user_type,
  coalesce(filled(auditData.ObjectId), filled(objectId)) AS object_name,
  concat_ws(' ', auditLogRecordType, dataType, auditData."@odata.type") AS type_words,
  auditData AS body
FROM (
  SELECT line_no, unnest(from_json(line, '{
    "id": "VARCHAR", "createdDateTime": "VARCHAR", "auditLogRecordType": "VARCHAR", "operation": "VARCHAR", "userType": "VARCHAR",
    "userId": "VARCHAR", "userPrincipalName": "VARCHAR", "service": "VARCHAR", "objectId": "VARCHAR", "dataType": "VARCHAR",
    "auditData": {
      "@odata.type": "VARCHAR", "Id": "VARCHAR", "RecordType": "VARCHAR", "CreationTime": "VARCHAR", "Operation": "VARCHAR",
      "UserId": "VARCHAR", "UserType": "VARCHAR", "Workload": "VARCHAR", "ObjectId": "VARCHAR", "ClientRegion": "VARCHAR",
      "AppIdentity": "JSON", "AgentId": "VARCHAR", "AgentPlatform": "VARCHAR", "LicenseType": "VARCHAR",
      "CopilotEventData": {
        "AppHost": "VARCHAR", "ThreadId": "VARCHAR", "ConversationId": "VARCHAR", "AgentId": "VARCHAR",
        "AgentPlatform": "VARCHAR", "AppIdentity": "JSON", "LicenseType": "VARCHAR", "DLPEvaluationDeferred": "VARCHAR",
        "Messages": [{"Id": "VARCHAR", "isPrompt": "BOOLEAN", "JailbreakDetected": "BOOLEAN"}],
        "AccessedResources": [{
          "Id": "VARCHAR", "listItemUniqueId": "VARCHAR", "SiteUrl": "VARCHAR", "Type": "VARCHAR",
          "SensitivityLabelId": "VARCHAR", "Action": "VARCHAR", "Status": "VARCHAR", "XPIADetected": "BOOLEAN",
          "PolicyDetails": "JSON"}],
        "AISystemPlugin": [{"Id": "VARCHAR"}],
        "ModelTransparencyDetails": [{"ModelName": "VARCHAR"}]},
      "PolicyDetails": "JSON", "IncidentId": "VARCHAR", "SharePointMetaData": {"From": "VARCHAR"},
      "ExchangeMetaData": {"From": "VARCHAR"}, "EndpointMetaData": "JSON", "EnforcementMode": "VARCHAR",
      "TargetDomain": "VARCHAR", "TargetUrl": "VARCHAR", "PolicyMatchInfo": "JSON",
      "SensitivityLabelEventData": "JSON", "SensitivityLabelId": "VARCHAR", "SourceLabel": "VARCHAR",
      "DestinationLabel": "VARCHAR", "LabelId": "VARCHAR", "ApplicationMode": "VARCHAR",
      "Common": {"ApplicationName": "VARCHAR"}}}'))
  FROM (FROM line ANTI JOIN odd_line USING (line_no) UNION ALL SELECT line_no, line FROM rebuilt)
);
