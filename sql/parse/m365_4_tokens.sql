-- Names become pseudonyms, each distinct name of a batch once. In: record, access. Out: token.

CREATE OR REPLACE MACRO read_identity_basis(person) AS CASE
  WHEN regexp_full_match(person, '(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}') THEN 'object_id'
  WHEN regexp_full_match(person, '[^@\s]+@[^@\s]+\.[^@\s]+') THEN 'upn' ELSE 'other' END;
CREATE OR REPLACE MACRO read_site_type(site) AS CASE
  WHEN regexp_matches(site, '(?i)-my\.sharepoint\.|/personal/') THEN 'onedrive'
  WHEN regexp_matches(site, '(?i)^[^/]*(teams\.microsoft\.com|skype\.com)|sharepoint\.[a-z]+/teams/') THEN 'teams'
  WHEN regexp_matches(site, '(?i)^[^/]*sharepoint\.') THEN 'site'
  WHEN regexp_matches(site, '(?i)^outlook\.') THEN 'mail'
  ELSE 'web' END;

CREATE OR REPLACE TEMP TABLE token AS
SELECT domain, name, detail,
  CASE WHEN is_plain(name) THEN prefix(domain) || base32(hash) ELSE python_token(domain, name) END AS token
FROM (
  SELECT domain, name, keyed_hash(domain, name) AS hash,
    CASE domain WHEN 'person' THEN read_identity_basis(name) WHEN 'site' THEN read_site_type(name) END AS detail
  FROM (
    SELECT DISTINCT 'person' AS domain, person_name AS name FROM record
    UNION ALL SELECT DISTINCT 'thread', unnest([filled(body.CopilotEventData.ThreadId), filled(body.CopilotEventData.ConversationId)])
      FROM record
    UNION ALL SELECT DISTINCT 'resource', resource_name FROM access
    UNION ALL SELECT DISTINCT 'site', site_name FROM access
    UNION ALL SELECT DISTINCT 'incident', filled(body.IncidentId) FROM record
    UNION ALL SELECT DISTINCT 'object', coalesce(object_name, filled(body.AgentId)) FROM record
      WHERE is_admin_record(record_type, outer_type, body."@odata.type")
  ) WHERE name IS NOT NULL
);
