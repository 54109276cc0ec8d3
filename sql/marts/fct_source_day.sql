-- One row per source and UK day with at least one record.
CREATE TABLE IF NOT EXISTS fct_source_day (source VARCHAR, occurred_day DATE, record_count BIGINT);
DELETE FROM fct_source_day WHERE occurred_day IN (SELECT occurred_day FROM touched_day);
INSERT INTO fct_source_day
SELECT source, occurred_day, count(*) FROM (
    SELECT source, occurred_day FROM stg_m365_event
    WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
    UNION ALL
    SELECT source, occurred_day FROM stg_vle_use
    WHERE occurred_day IN (SELECT occurred_day FROM touched_day)
)
GROUP BY source, occurred_day;
