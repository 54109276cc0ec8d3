-- Microsoft 365 audit records: names, numbers and rules that all batches share. Run once a connection.

-- Numbers of the AI, DLP and label record types (facts/m365.md §1.8). Other types are kept by number.
CREATE OR REPLACE TEMP TABLE record_type_name AS
FROM (VALUES
  (261, 'CopilotInteraction'), (284, 'AIAppInteraction'), (328, 'ConnectedAIAppInteraction'), (334, 'TeamCopilotInteraction'),
  (310, 'CreateCopilotPlugin'), (311, 'UpdateCopilotPlugin'), (312, 'DeleteCopilotPlugin'), (313, 'EnableCopilotPlugin'),
  (314, 'DisableCopilotPlugin'), (315, 'CreateCopilotWorkspace'), (316, 'UpdateCopilotWorkspace'), (317, 'DeleteCopilotWorkspace'),
  (318, 'EnableCopilotWorkspace'), (319, 'DisableCopilotWorkspace'), (320, 'CreateCopilotPromptBook'), (321, 'UpdateCopilotPromptBook'),
  (322, 'DeleteCopilotPromptBook'), (323, 'EnableCopilotPromptBook'), (324, 'DisableCopilotPromptBook'), (325, 'UpdateCopilotSettings'),
  (362, 'AIInteractionsExport'), (363, 'Microsoft365CopilotScheduledPrompt'), (370, 'SentinelAITool'), (373, 'OutlookCopilotAutomation'),
  (379, 'AIInteractionsSubscription'), (380, 'AIInteractionsChangeNotification'), (383, 'CopilotForSecurityTrigger'),
  (384, 'CopilotAgentManagement'), (11, 'ComplianceDLPSharePoint'), (13, 'ComplianceDLPExchange'),
  (33, 'ComplianceDLPSharePointClassification'), (63, 'DLPEndpoint'), (107, 'ComplianceDLPExchangeClassification'),
  (108, 'ComplianceDLPEndpoint'), (153, 'WebpageActivityEndpoint'), (263, 'ComplianceDLPApplications'), (43, 'MIPLabel'),
  (82, 'SensitivityLabelPolicyMatch'), (83, 'SensitivityLabelAction'), (84, 'SensitivityLabeledFileAction'),
  (94, 'AipSensitivityLabelAction'), (206, 'MicrosoftTeamsSensitivityLabelAction'), (6, 'SharePointFileOperation'),
  (98, 'MCASAlerts'), (88, 'UserTraining'), (265, 'VivaLearning')
) AS known(record_type, name);

-- Keys we know: of the body (facts/m365.md §§3.1-3.6) and of CopilotEventData (§3.2). Any other is drift.
SET VARIABLE known_keys = [
  '@odata.type', 'Id', 'RecordType', 'CreationTime', 'Operation', 'OrganizationId', 'UserType', 'UserKey', 'Workload',
  'ResultStatus', 'ObjectId', 'UserId', 'ClientIP', 'ClientIPAddress', 'Scope', 'Version', 'AppAccessContext',
  'CopilotEventData', 'ClientRegion', 'CopilotLogVersion', 'AppIdentity', 'AgentId', 'AgentName', 'AgentVersion',
  'AgentBlueprintId', 'AgentPlatform', 'PlatformAgentId', 'CapacityId', 'AssociatedAdminUnits', 'AssociatedAdminUnitsNames',
  'ScenarioType', 'AutomationId', 'TriggerMode', 'AgentID', 'AgentType', 'UserAssignments', 'ForAllUsers',
  'Property', 'OldValue', 'NewValue', 'AddedIdentities', 'RemovedIdentities', 'Message',
  'PolicyDetails', 'SensitiveInfoDetectionIsIncluded', 'IncidentId', 'ExceptionInfo', 'SharePointMetaData', 'ExchangeMetaData',
  'EndpointMetaData', 'EnforcementMode', 'TargetDomain', 'OriginatingDomain', 'TargetFilePath', 'TargetUrl', 'Application',
  'DeviceName', 'FileType', 'FileSize', 'Sha1', 'Sha256', 'RMSEncrypted', 'JitTriggered', 'RemovableMediaDeviceAttributes',
  'SensitiveInfoTypeData', 'PolicyMatchInfo', 'EvidenceFile', 'FileExtension', 'Platform', 'Hidden', 'PreviousFileName',
  'SensitivityLabelEventData', 'ProtectionEventData', 'Common', 'DataState', 'SensitivityLabelId', 'SourceLabel',
  'DestinationLabel', 'Sender', 'Receivers', 'ItemName', 'LabelId', 'LabelName', 'LabelAction', 'LabelAppliedDateTime',
  'ApplicationMode', 'SiteUrl', 'SourceFileName', 'SourceFileExtension', 'SourceRelativeUrl', 'EventSource', 'ItemType',
  'ListId', 'ListItemUniqueId', 'WebId', 'Site', 'UserAgent', 'CorrelationId', 'EventData', 'ModifiedProperties'];
SET VARIABLE known_copilot_keys = [
  'AppHost', 'Contexts', 'ThreadId', 'ConversationId', 'Messages', 'MessageIds', 'AccessedResources', 'AISystemPlugin',
  'ModelTransparencyDetails', 'DLPEvaluationDeferred', 'DLPEvaluationDeferredReason', 'TargetAgentName',
  'TargetPlatformAgentId', 'PlatformAgentType', 'LicenseType', 'AgentId', 'AgentName', 'AgentVersion', 'AppIdentity',
  'AgentPlatform', 'PlatformAgentId'];
-- Keys that some pipelines spell with other capitals (facts/m365.md §1.4) and that the tables need.
SET VARIABLE needed_keys = [
  'Id', 'RecordType', 'CreationTime', 'Operation', 'UserId', 'UserType', 'Workload', 'ObjectId', 'ClientRegion', 'AppIdentity',
  'AgentId', 'AgentPlatform', 'CopilotEventData', 'AppHost', 'ThreadId', 'ConversationId', 'Messages', 'AccessedResources',
  'AISystemPlugin', 'ModelTransparencyDetails', 'DLPEvaluationDeferred', 'LicenseType', 'PolicyDetails', 'IncidentId'];
SET VARIABLE needed_small = [lower(one) for one in getvariable('needed_keys')];

-- What is read of a record, with types. Messy parts stay JSON.
CREATE OR REPLACE MACRO outer_shape() AS '"id": "VARCHAR", "createdDateTime": "VARCHAR", "auditLogRecordType": "VARCHAR",
  "operation": "VARCHAR", "userType": "VARCHAR", "userId": "VARCHAR", "userPrincipalName": "VARCHAR", "service": "VARCHAR",
  "objectId": "VARCHAR"';
CREATE OR REPLACE MACRO body_shape() AS '{
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
  "PolicyDetails": "JSON", "IncidentId": "VARCHAR", "SharePointMetaData": "JSON",
  "ExchangeMetaData": "JSON", "EndpointMetaData": "JSON", "EnforcementMode": "VARCHAR",
  "TargetDomain": "VARCHAR", "TargetUrl": "VARCHAR", "PolicyMatchInfo": "JSON",
  "SensitivityLabelEventData": "JSON", "SensitivityLabelId": "VARCHAR", "SourceLabel": "VARCHAR",
  "DestinationLabel": "VARCHAR", "LabelId": "VARCHAR", "ApplicationMode": "VARCHAR", "Property": "VARCHAR",
  "AutomationId": "VARCHAR",
  "Common": {"ApplicationName": "VARCHAR"}}';

CREATE OR REPLACE TEMP TABLE field_count (record_type INTEGER, field_name VARCHAR, record_count BIGINT);

-- A GUID in lower case; NULL for anything else and for the all-zero one.
CREATE OR REPLACE MACRO read_guid(value) AS
  nullif(TRY_CAST(trim(value) AS UUID), '00000000-0000-0000-0000-000000000000'::UUID)::VARCHAR;

-- UserType arrives as a number, as digits in a string, or (outer column) as a word (facts/m365.md §3.1). NULL for
-- anything else.
SET VARIABLE user_types = ['regular', 'reserved', 'admin', 'dc_admin', 'system', 'application', 'service_principal',
  'custom_policy', 'system_policy', 'partner_technician', 'guest'];
SET VARIABLE user_type_words = [replace(one, '_', '') for one in getvariable('user_types')];
CREATE OR REPLACE MACRO read_user_type(value) AS getvariable('user_types')[coalesce(TRY_CAST(value AS USMALLINT)::INTEGER + 1,
  list_position(getvariable('user_type_words'), replace(lower(trim(value)), '_', '')))];

-- JSON inside a JSON string, once or twice escaped (facts/m365.md §4.3).
CREATE OR REPLACE MACRO open_text(json_text) AS
  filled(trim(CASE WHEN TRY(json_type(json_text)) = 'VARCHAR' THEN json_text ->> '$' ELSE json_text::VARCHAR END));
CREATE OR REPLACE MACRO open_object(json_text) AS CASE
  WHEN TRY(json_type(open_text(json_text))) = 'OBJECT' THEN open_text(json_text)
  WHEN TRY(json_type(replace(open_text(json_text), '\u0022', '"'))) = 'OBJECT' THEN replace(open_text(json_text), '\u0022', '"') END;
CREATE OR REPLACE MACRO open_list(json_text) AS CASE WHEN TRY(json_type(open_text(json_text))) = 'ARRAY' THEN open_text(json_text) END;
CREATE OR REPLACE MACRO is_word(value, word) AS lower(trim(value)) = word;
-- Every outcome says None: the evaluation had no effect. An empty or absent list says nothing.
CREATE OR REPLACE MACRO had_no_effect(outcomes) AS coalesce(
  CASE json_type(outcomes) WHEN 'ARRAY' THEN list_bool_and([is_word(one, 'none') for one in from_json(outcomes, '["VARCHAR"]')])
    WHEN 'VARCHAR' THEN is_word(outcomes ->> '$', 'none') END, false);
-- A rule in mode Enforce whose actions include BlockAccess.
CREATE OR REPLACE MACRO has_blocking_rule(rules) AS coalesce(list_bool_or([
  coalesce(is_word(rule.RuleMode, 'enforce') AND list_bool_or([is_word(act, 'blockaccess') for act in rule.Actions]), false)
  for rule in from_json(rules, '[{"RuleMode": "VARCHAR", "Actions": ["VARCHAR"]}]')]), false);
-- Copilot settings, plugins, workspaces, prompt books, agents, prompts on a schedule, and who may read AI interactions
-- (§1.8, §3.4). The agent types have no documented number: they are known by name, or by their keys.
CREATE OR REPLACE MACRO is_admin_record(record_type, type_words) AS coalesce(
  record_type BETWEEN 310 AND 325 OR record_type IN (362, 363, 373, 379, 380, 383, 384), false)
  OR (contains(lower(type_words), 'agentadmin') OR contains(lower(type_words), 'agentsettingadmin')
    OR contains(lower(type_words), 'agentsettingsadmin'));
CREATE OR REPLACE MACRO is_agent_change(keys) AS coalesce(list_contains(keys, 'ForAllUsers')
  AND (list_contains(keys, 'AgentID') OR list_contains(keys, 'Property')), false);
-- Every labelled e-mail gives two records of this operation, of types 43 and 13 (facts/m365.md §3.5).
CREATE OR REPLACE MACRO is_label_mail(record_type, operation) AS coalesce(record_type IN (13, 43) AND lower(operation) = 'miplabel', false);
