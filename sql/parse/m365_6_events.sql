-- DLP, label and admin events. In: record, token, person. Out: stg_dlp_event, stg_label_event, stg_admin_event.

-- Type 13 with the operation MipLabel and an all-zero policy, or none, is the second record of a labelled e-mail, not a
-- DLP hit (facts/m365.md §3.5).
CREATE OR REPLACE MACRO is_label_twin(record_type, operation, policy_details) AS record_type = 13
  AND is_label_mail(record_type, operation) AND read_guid(open_list(policy_details) ->> '$[0].PolicyId') IS NULL;
CREATE OR REPLACE MACRO rank_severity(word) AS list_position(['low', 'medium', 'high'], lower(word));
-- A host without port, account, path and leading www.: what the register of tools lists. NULL for what is no host
-- name, such as a path on a file server.
CREATE OR REPLACE MACRO read_host(address) AS filled(regexp_extract(
  lower(trim(address)), '^(?:[a-z][a-z0-9+.-]*://)?(?:[^/?#@\\]*@)?(?:www\.)?([a-z0-9.-]+)(?:[/?#:]|$)', 1));

-- The most severe rule of all policies of a record; ties: the first.
CREATE OR REPLACE TEMP TABLE dlp_rule AS
SELECT line_no, any_value(policy.PolicyName) AS policy_name, arg_max(rule, coalesce(rank_severity(rule.Severity), 0) * 1000 - rule_no) AS rule
FROM (
  SELECT line_no, policy, unnest(policy.Rules) AS rule, generate_subscripts(policy.Rules, 1) + policy_no * 100 AS rule_no
  FROM (
    SELECT line_no, generate_subscripts(opened, 1) AS policy_no, unnest(opened) AS policy
    FROM (
      SELECT line_no, from_json(open_list(policies), '[{"PolicyName": "VARCHAR", "Rules": [
        {"RuleName": "VARCHAR", "Severity": "VARCHAR", "RuleMode": "VARCHAR"}]}]') AS opened
      FROM record WHERE record_type IN (11, 13, 33, 63, 107, 108, 263) AND policies IS NOT NULL
    )
  )
) GROUP BY line_no;

-- One row per DLP record: policy hits in the service, and what happened on a managed device.
CREATE OR REPLACE TEMP TABLE stg_dlp_event AS
SELECT
  record_id, occurred_at, occurred_day, record_type, operation_name AS operation, person_key, incident.token AS incident_key,
  safe_word(coalesce(dlp_rule.policy_name, policy_match ->> '$.PolicyName')) AS policy_name,
  safe_word(coalesce(dlp_rule.rule.RuleName, policy_match ->> '$.RuleName')) AS rule_name,
  lower(safe_word(dlp_rule.rule.Severity)) AS severity,
  safe_word(dlp_rule.rule.RuleMode) AS rule_mode,
  TRY_CAST(coalesce(enforcement, endpoint ->> '$.EnforcementMode') AS INTEGER) AS enforcement_mode,
  coalesce(read_host(target_url), read_host(target_name), read_host(endpoint ->> '$.TargetUrl'),
    read_host(endpoint ->> '$.TargetDomain')) AS target_domain,
  CASE WHEN record_type IN (63, 108, 153) THEN 'endpoint' ELSE 'service' END AS channel,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM record
LEFT JOIN person USING (person_name)
LEFT JOIN dlp_rule USING (line_no)
LEFT JOIN token AS incident ON incident.domain = 'incident' AND incident.name = incident_name
WHERE record_type IN (11, 13, 33, 63, 107, 108, 153, 263) AND NOT is_label_twin(record_type, operation_name, policies)
  AND record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;

-- LabelEventType and ActionSource are numbers, digits or words (facts/m365.md §3.6). Microsoft's example logs a first
-- application as type 4, so that one needs the operation too.
CREATE OR REPLACE MACRO read_change(event_type, operation, old_label) AS CASE
  WHEN event_type = '1' OR contains(event_type, 'upgrad') THEN 'upgraded'
  WHEN event_type = '2' OR contains(event_type, 'downgrad') THEN 'downgraded'
  WHEN event_type = '3' OR contains(event_type, 'remov') OR contains(operation, 'removed') THEN 'removed'
  WHEN contains(operation, 'applied') AND old_label IS NULL OR operation = 'miplabel' THEN 'applied'
  WHEN event_type = '4' OR regexp_matches(operation, 'changed|updated|applied') THEN 'changed'
  WHEN contains(operation, 'opened') THEN 'opened' ELSE 'other' END;
CREATE OR REPLACE MACRO read_how_applied(action_source, application_mode) AS CASE
  WHEN action_source = '1' OR contains(action_source, 'default') THEN 'default'
  WHEN action_source = '2' OR contains(action_source, 'auto') OR application_mode = 'standard' THEN 'automatic'
  WHEN action_source = '3' OR contains(action_source, 'manual') OR application_mode = 'privileged' THEN 'manual'
  WHEN action_source = '4' OR contains(action_source, 'recommend') THEN 'recommended' ELSE 'unknown' END;

-- One row per label event. A labelled e-mail gives two (types 43 and 13); type 13 has the label's id as RuleId. Both have
-- the mail's own id as ObjectId: its token pairs them.
CREATE OR REPLACE TEMP TABLE stg_label_event AS
SELECT
  record_id, occurred_at, occurred_day, record_type, operation, person_key, label_id, old_label_id,
  read_change(lower(label.LabelEventType), lower(operation), old_label_id) AS change,
  read_how_applied(lower(label.ActionSource), lower(application_mode)) AS how_applied,
  coalesce(application_name, workload) AS application, mail.token AS object_key,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM (
  SELECT *, operation_name AS operation,
    read_guid(coalesce(filled(label.SensitivityLabelId), filled(label_name), filled(destination_label), filled(mail_label),
      CASE WHEN is_label_twin(record_type, operation_name, policies) THEN open_list(policies) ->> '$[0].Rules[0].RuleId' END)) AS label_id,
    read_guid(coalesce(filled(label.OldSensitivityLabelId), filled(source_label))) AS old_label_id
  FROM (
    SELECT *, from_json(label_data, '{"SensitivityLabelId": "VARCHAR", "OldSensitivityLabelId": "VARCHAR",
      "LabelEventType": "VARCHAR", "ActionSource": "VARCHAR"}') AS label
    FROM record
    WHERE (record_type IN (43, 82, 83, 84, 94, 206) OR is_label_twin(record_type, operation_name, policies)
        OR record_type = 6 AND starts_with(operation_name, 'FileSensitivityLabel'))
      AND record_id IS NOT NULL AND occurred_at IS NOT NULL
  )
)
LEFT JOIN person USING (person_name)
LEFT JOIN token AS mail ON mail.domain = 'object' AND mail.name = object_name AND is_label_mail(record_type, operation)
ORDER BY line_no;

-- One row per change of Copilot settings, plugins, agents, prompts on a schedule, or of who may read AI interactions.
CREATE OR REPLACE TEMP TABLE stg_admin_event AS
SELECT
  record_id, occurred_at, occurred_day, record_type, operation_name AS operation, person_key, object.token AS object_key,
  getvariable('source') AS source, getvariable('package_id') AS package_id, line_no
FROM record
LEFT JOIN person USING (person_name)
LEFT JOIN token AS object ON object.domain = 'object' AND object.name = object_name
WHERE is_admin_record(record_type, type_words) AND record_id IS NOT NULL AND occurred_at IS NOT NULL
ORDER BY line_no;
