-- One row per accessed resource of an AI record, still with its names. In: record. Out: access, policy_outcome.

CREATE OR REPLACE MACRO without_query(url) AS regexp_extract(url, '^[^?#]*');
-- Host and, in SharePoint, the site: https://x.sharepoint.com/sites/hr/Shared… -> x.sharepoint.com/sites/hr
CREATE OR REPLACE MACRO read_site(url) AS
  filled(regexp_extract(url, '(?i)^\s*https?://([^/?#]+(?:/(?:sites|teams|personal)/[^/?#]+)?)', 1));
-- Ids may be addresses too.
CREATE OR REPLACE MACRO read_id(value) AS filled(CASE WHEN starts_with(value, 'http') THEN without_query(value) ELSE value END);
-- The last word of a type that is the address of a schema: http://schema.skype.com/HyperLink.
CREATE OR REPLACE MACRO read_type(value) AS
  filled(CASE WHEN starts_with(value, 'http://schema') THEN safe_word(split_part(value, '/', -1)) ELSE safe_word(value) END);

CREATE OR REPLACE TEMP TABLE opened AS
SELECT line_no, generate_subscripts(resources, 1)::INTEGER AS resource_no,
  unnest(resources, max_depth := 2)
FROM record WHERE record_type IN (261, 284, 328, 334);

-- Many events name the same address: it is taken apart once.
CREATE OR REPLACE TEMP TABLE address AS
SELECT SiteUrl, filled(without_query(SiteUrl)) AS file_name, read_site(SiteUrl) AS site_name,
  filled(lower(regexp_extract(without_query(SiteUrl), '/[^/]*\.([A-Za-z0-9]{1,8})$', 1))) AS extension
FROM (SELECT DISTINCT SiteUrl FROM opened WHERE SiteUrl IS NOT NULL);

CREATE OR REPLACE TEMP TABLE access AS
SELECT
  line_no, resource_no, coalesce(read_id(listItemUniqueId), read_id(Id), file_name) AS resource_name, site_name,
  coalesce(read_type(Type), extension) AS resource_type,
  read_guid(SensitivityLabelId) AS label_id,
  lower(safe_word(filled(Action))) AS action,
  lower(safe_word(filled(Status))) AS access_status,
  CASE WHEN PolicyDetails NOT IN ('""', '[]', 'null') THEN PolicyDetails END AS policy_details,
  coalesce(XPIADetected, false) AS has_xpia
FROM opened LEFT JOIN address USING (SiteUrl);

-- What a policy detail means (facts/m365.md §4.3), once for each distinct text. Shape A names policies; shape B
-- holds evaluations, each of which may name policies itself or in AuditLog.
CREATE OR REPLACE TEMP TABLE policy_entry AS
SELECT policy_details, json_type(entry) = 'OBJECT' AND coalesce(json_type(entry, '$.Rules'), 'ARRAY') IN ('ARRAY', 'NULL') AS is_readable,
  unnest(CASE WHEN is_readable THEN from_json(entry, '{"PolicyId": "VARCHAR", "PolicyName": "VARCHAR", "Rules": "JSON",
    "PolicyType": "JSON", "PolicyOutcomes": "JSON", "AuditLog": "JSON"}') END)
FROM (
  SELECT policy_details, unnest(CASE WHEN TRY(json_type(open_text(policy_details))) = 'ARRAY'
    THEN from_json(open_text(policy_details), '["JSON"]') ELSE ['0'::JSON] END) AS entry
  FROM (SELECT DISTINCT policy_details FROM access WHERE policy_details IS NOT NULL)
  WHERE open_text(policy_details) IS NOT NULL
);
CREATE OR REPLACE TEMP TABLE policy_outcome AS
WITH evaluation AS (
  SELECT policy_details, PolicyId, PolicyName, Rules, AuditLog,
    PolicyType IS NOT NULL OR PolicyOutcomes IS NOT NULL OR AuditLog IS NOT NULL AS is_evaluation
  FROM policy_entry WHERE is_readable AND NOT had_no_effect(PolicyOutcomes)
), policy AS (
  SELECT policy_details, PolicyId, PolicyName, Rules, NOT is_evaluation AS is_documented FROM evaluation
  UNION ALL
  SELECT policy_details, inner_policy.PolicyId, inner_policy.PolicyName, inner_policy.Rules, false
  FROM (
    SELECT policy_details, unnest(from_json(open_object(AuditLog) -> '$.PolicyDetails',
      '[{"PolicyId": "VARCHAR", "PolicyName": "VARCHAR", "Rules": "JSON", "PolicyOutcomes": "JSON"}]')) AS inner_policy
    FROM evaluation WHERE json_type(open_object(AuditLog), '$.PolicyDetails') = 'ARRAY'
  ) WHERE NOT had_no_effect(inner_policy.PolicyOutcomes)
)
SELECT policy_details,
  coalesce(bool_or(is_documented), false) AS is_block_when_failed,
  coalesce(bool_or(has_blocking_rule(Rules)), false) AS is_block,
  count(policy.is_documented) > 0 AS is_hit,
  coalesce(any_value(has_anomaly), false) AS has_anomaly
FROM (SELECT policy_details, bool_or(NOT is_readable) AS has_anomaly FROM policy_entry GROUP BY policy_details)
LEFT JOIN (FROM policy WHERE PolicyId IS NOT NULL OR PolicyName IS NOT NULL OR Rules IS NOT NULL) AS policy USING (policy_details)
GROUP BY policy_details;
