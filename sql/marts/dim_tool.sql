-- One row per GenAI tool of the register, as it stood on the newest day that is loaded: else as it stood last, else as it will.
CREATE OR REPLACE TABLE dim_tool AS
SELECT tool_id, tool_name, vendor, tool_status, hosting, adequacy, audience, array_to_string(capabilities, '; ') AS capability,
    notice_url, notice_reviewed_on, security_assessed_on, contract_expiry, approved_on, dpia_ref, owner_key,
    effective_from, effective_to
FROM stg_tool
-- Before any day is loaded, the latest row.
CROSS JOIN (SELECT coalesce(max(calendar_day), DATE '9999-12-31') AS newest FROM dim_calendar_day)
-- A tool has a row for each way to recognise it, and perhaps one for each period.
QUALIFY row_number() OVER (
    PARTITION BY tool_id
    ORDER BY CASE WHEN effective_from > newest THEN 3 WHEN effective_to < newest THEN 2 ELSE 1 END,
        CASE WHEN effective_from > newest THEN effective_from END,
        effective_to DESC NULLS FIRST, effective_from DESC NULLS LAST, match_kind, match_value) = 1;
