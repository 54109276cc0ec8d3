-- One row per GenAI tool of the register, as its latest row describes it.
CREATE OR REPLACE TABLE dim_tool AS
SELECT tool_id, tool_name, vendor, tool_status, hosting, adequacy, audience, array_to_string(capabilities, '; ') AS capability,
    notice_url, notice_reviewed_on, security_assessed_on, contract_expiry, approved_on, dpia_ref, owner_key,
    effective_from, effective_to
FROM stg_tool
-- A tool has a row for each way to recognise it, and perhaps one for each period.
QUALIFY row_number() OVER (
    PARTITION BY tool_id
    ORDER BY effective_to DESC NULLS FIRST, effective_from DESC NULLS LAST, match_kind, match_value) = 1;
