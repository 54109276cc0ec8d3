-- One row per UK day with Copilot use in the audit log, or with a usage report of Microsoft's made for it.
-- Both numbers are shown and neither is corrected by the other: they count different people in different ways.
CREATE OR REPLACE TABLE fct_usage_reconciliation AS
WITH report AS (  -- users whose last activity was on the very day of the report; read twice, they count once
    SELECT report_day AS usage_day, bool_or(is_concealed) AS is_concealed,
        count(DISTINCT split_part(record_id, ':', 2)) FILTER (last_activity_day = report_day) AS report_user_count
    FROM stg_copilot_usage GROUP BY report_day
),
audit AS (
    SELECT occurred_day AS usage_day, count(DISTINCT person_key) AS user_count
    FROM fct_interaction WHERE record_type = 261 AND is_end_user GROUP BY occurred_day
),
collected AS (
    SELECT covered_day AS usage_day, bool_or(coverage_status = 'collected') AS is_whole FROM fct_coverage
    WHERE source IN ('m365_audit', 'm365_activity_api', 'm365_files')
        AND coverage_status IN ('collected', 'partly', 'unproven')
    GROUP BY covered_day
),
beside AS (
    SELECT usage_day, r.report_user_count, r.is_concealed,
        -- A day that was not collected whole has no number: it is not a day without use.
        coalesce(a.user_count, CASE WHEN c.is_whole THEN 0 END) AS audit_user_count,
        coalesce(NOT c.is_whole, false) AS is_incomplete
    FROM audit a FULL JOIN report r USING (usage_day) LEFT JOIN collected c USING (usage_day)
),
measured AS (
    SELECT *, audit_user_count - report_user_count AS user_difference, 0.1::DOUBLE AS tolerance,
        coalesce(abs(audit_user_count - report_user_count) / nullif(greatest(audit_user_count, report_user_count), 0), 0)
            AS difference_share
    FROM beside
)
SELECT usage_day, report_user_count, audit_user_count, user_difference,
    CASE WHEN user_difference IS NOT NULL THEN difference_share END AS difference_share, tolerance,
    CASE
        WHEN report_user_count IS NULL THEN 'no report'
        WHEN is_incomplete THEN 'audit log incomplete'
        WHEN audit_user_count IS NULL THEN 'no audit log'
        WHEN is_concealed THEN 'names concealed'
        WHEN difference_share <= tolerance THEN 'within'
        ELSE 'outside' END AS reconciliation_status,
    CASE
        WHEN report_user_count IS NULL THEN 'Microsoft makes the report 48 to 72 hours late, and it must be read daily'
        WHEN is_incomplete THEN 'the audit log of the day was read in part, or nothing proves that it is whole'
        WHEN audit_user_count IS NULL THEN 'the audit log of the day was not collected'
        WHEN user_difference > 0 THEN 'the report is said to hold licensed users only, the log has all; agents of '
            || 'Copilot Studio and their second records are in the log; the report''s days are UTC, these are UK'
        WHEN user_difference < 0 THEN 'records of the log come two to three days late; some surfaces are not logged; '
            || 'test panes and unattended runs are left out of it; the report''s days are UTC, these are UK'
        ELSE 'none needed' END AS known_reasons
FROM measured ORDER BY usage_day;
