-- One row per pseudonym that a person was seen with: by object id and, before that is known, by UPN.
CREATE OR REPLACE TABLE dim_identity AS
SELECT person_key AS alias_key, any_value(person_key) AS person_key FROM stg_directory GROUP BY ALL
UNION ALL
SELECT alias_key, min(person_key) AS person_key
FROM stg_directory
WHERE alias_key IS NOT NULL AND alias_key NOT IN (SELECT person_key FROM stg_directory)
GROUP BY alias_key;
