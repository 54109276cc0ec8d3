-- Names become pseudonyms, each distinct name of a batch once. In: record, access. Out: token, person, thread, resource, site.

CREATE OR REPLACE MACRO read_identity_basis(person) AS CASE
  WHEN regexp_full_match(person, '(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}') THEN 'object_id'
  WHEN regexp_full_match(person, '[^@\s]+@[^@\s]+\.[^@\s]+') THEN 'upn' ELSE 'other' END;
CREATE OR REPLACE MACRO read_site_type(site) AS CASE
  WHEN regexp_matches(site, '(?i)-my\.sharepoint\.|/personal/') THEN 'onedrive'
  WHEN regexp_matches(site, '(?i)^[^/]*(teams\.microsoft\.com|skype\.com)|sharepoint\.[a-z]+/teams/') THEN 'teams'
  WHEN regexp_matches(site, '(?i)^[^/]*sharepoint\.') THEN 'site'
  WHEN regexp_matches(site, '(?i)^outlook\.') THEN 'mail'
  ELSE 'web' END;

-- Metadata without a person leave the assistant account that wrote the record: that is nobody (facts/m365.md §3.5).
UPDATE record SET person_name = NULL WHERE record_type IN (11, 13, 33, 107) AND read_identity_basis(person_name) = 'other';

CREATE OR REPLACE TEMP TABLE name AS
SELECT domain, name FROM (
  SELECT DISTINCT 'person' AS domain, person_name AS name FROM record
  UNION ALL SELECT DISTINCT 'thread', unnest([thread_name, conversation_name]) FROM record
  UNION ALL SELECT DISTINCT 'resource', resource_name FROM access
  UNION ALL SELECT DISTINCT 'site', site_name FROM access
  UNION ALL SELECT DISTINCT 'incident', incident_name FROM record
  UNION ALL SELECT DISTINCT 'object', object_name FROM record
    WHERE is_admin_record(record_type, type_words) OR is_label_mail(record_type, operation_name)
) WHERE name IS NOT NULL;

CREATE OR REPLACE TEMP TABLE token AS FROM make_tokens('name');
CREATE OR REPLACE TEMP TABLE person AS
SELECT name AS person_name, token AS person_key, read_identity_basis(name) AS identity_basis FROM token WHERE domain = 'person';
CREATE OR REPLACE TEMP TABLE thread AS SELECT name, token FROM token WHERE domain = 'thread';
CREATE OR REPLACE TEMP TABLE resource AS SELECT name AS resource_name, token AS resource_key FROM token WHERE domain = 'resource';
CREATE OR REPLACE TEMP TABLE site AS
SELECT name AS site_name, token AS site_key, read_site_type(name) AS site_type FROM token WHERE domain = 'site';
