-- Registers without a fault: one use case, its risk, its training, its notices, and what the policy says of itself.
CREATE TABLE stg_use_case AS
SELECT 'uc1' AS use_case_id, 'Feedback drafts' AS use_case_title, 'teaching' AS area, 'u1' AS unit_id,
    ['t1'] AS tool_ids, 'drafts' AS purpose, 'scrutiny' AS route, NULL::DATE AS self_assessed_on,
    NULL::DATE AS notified_on, 'UTC' AS body_id, 'approved' AS decision, DATE '2026-09-01' AS decision_on,
    'M1' AS minute_ref, NULL::VARCHAR AS conditions, true AS has_personal_data, false AS has_special_category,
    false AS has_children_data, 'none' AS automated_decision, 'low' AS risk_level, 'D1' AS dpia_ref,
    'approved' AS dpia_status, DATE '2027-09-01' AS dpia_expiry, NULL::VARCHAR AS ethics_ref,
    NULL::VARCHAR AS rdmp_ref, NULL::DATE AS quality_check_last, NULL::DATE AS quality_check_next,
    person(1) AS owner_key, NULL::DATE AS updated_on, DATE '2026-09-01' AS effective_from, NULL::DATE AS effective_to;
CREATE TABLE dim_use_case AS SELECT * REPLACE ('t1' AS tool_ids) FROM stg_use_case;
CREATE TABLE stg_risk AS
SELECT 'r1' AS risk_id, 'uc1' AS use_case_id, 'high' AS rating, 'scale' AS rationale, 'done' AS remediation_status,
    'low' AS residual, DATE '2026-09-01' AS siro_escalated_on, 'accepted' AS siro_decision,
    DATE '2026-09-02' AS siro_decision_on, DATE '2026-09-02' AS ict_notified_on, DATE '2026-09-02' AS dpo_notified_on,
    'a1' AS action_id, 'train people' AS action, person(1) AS action_owner_key, DATE '2026-10-01' AS action_due,
    DATE '2026-09-20' AS action_done_on, NULL::DATE AS effective_from, NULL::DATE AS effective_to;
CREATE TABLE stg_training AS
SELECT person_key, NULL::VARCHAR AS alias_key, 'ai-ethics' AS course_id, '1' AS course_version,
    DATE '2026-09-10' AS completed_on, DATE '2027-09-10' AS expires_on, 'passed' AS result, 'LMS' AS training_source
FROM dim_person;
CREATE TABLE stg_notice AS
SELECT 'n1' AS notice_id, population, '1' AS notice_version, DATE '2026-08-01' AS published_on,
    'public task' AS lawful_basis, 'D1' AS dpia_ref, 'C1' AS consultation_ref, sha256('url') AS url_sha256,
    DATE '2026-09-01' AS effective_from, NULL::DATE AS effective_to
FROM (VALUES ('staff'), ('student')) AS populations(population);
CREATE TABLE stg_misuse_report AS
SELECT 'm1' AS report_id, DATE '2026-10-01' AS received_on, 'deepfake' AS category, DATE '2026-10-02' AS triaged_on,
    DATE '2026-10-20' AS closed_on, 'no case' AS outcome_class;
CREATE TABLE stg_body AS
SELECT 'UTC' AS body_id, 'University Teaching Committee' AS body_name, ['UTC'] AS name_variants, 'teaching' AS area,
    ['9'] AS policy_clauses, 'decides' AS duty, DATE '2024-09-23' AS effective_from, NULL::DATE AS effective_to;
CREATE TABLE stg_policy AS
SELECT '2024' AS policy_version, sha256('text') AS text_sha256, DATE '2024-09-23' AS effective_from,
    NULL::DATE AS effective_to, DATE '2025-04-01' AS next_review, DATE '2025-03-23' AS review_if_twice_a_year,
    DATE '2026-09-23' AS review_if_every_two_years, ['1'] AS clauses;
CREATE TABLE stg_policy_defect AS
SELECT 'D1' AS defect_id, '2024' AS policy_version, ['10'] AS clauses, 'numbering' AS defect, 'cited' AS handling;
CREATE TABLE stg_setting_baseline AS
SELECT 'web_search' AS setting_key, 'off' AS approved_value, DATE '2026-09-01' AS approved_on,
    person(1) AS approver_key, DATE '2026-09-01' AS effective_from, NULL::DATE AS effective_to;
ALTER TABLE stg_tool ADD COLUMN IF NOT EXISTS effective_from DATE;
ALTER TABLE stg_tool ADD COLUMN IF NOT EXISTS effective_to DATE;
