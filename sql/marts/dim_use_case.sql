-- One row per registered use case and period in which the row is in force.
CREATE OR REPLACE TABLE dim_use_case AS
SELECT use_case_id, use_case_title, area, unit_id, array_to_string(tool_ids, '; ') AS tool_ids, purpose, route,
    self_assessed_on, notified_on, body_id, decision, decision_on, minute_ref, conditions, has_personal_data,
    has_special_category, has_children_data, automated_decision, risk_level, dpia_ref, dpia_status, dpia_expiry,
    ethics_ref, rdmp_ref, quality_check_last, quality_check_next, owner_key, updated_on, effective_from, effective_to
FROM stg_use_case
ORDER BY use_case_id, effective_from;
