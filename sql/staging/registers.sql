-- The newest landed version of every register, replaced whole at each load: one row as people typed it, typed;
-- people as pseudonyms. Days of effective_from and effective_to are included; NULL is open.
CREATE TABLE IF NOT EXISTS stg_directory (person_key VARCHAR, alias_key VARCHAR, unit_id VARCHAR, role VARCHAR);

CREATE TABLE IF NOT EXISTS stg_unit (
    unit_id VARCHAR, unit_name VARCHAR, parent_unit_name VARCHAR, unit_type VARCHAR, headcount_staff INTEGER,
    headcount_student INTEGER, implementer_key VARCHAR, effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_label (
    label_id VARCHAR, label_name VARCHAR, label_rank INTEGER, valid_from DATE, valid_to DATE, parent_label_id VARCHAR,
    label_class VARCHAR, has_personal_data BOOLEAN, has_special_category BOOLEAN);

CREATE TABLE IF NOT EXISTS stg_tool (
    tool_id VARCHAR, tool_name VARCHAR, vendor VARCHAR, tool_status VARCHAR, hosting VARCHAR, match_kind VARCHAR,
    match_value VARCHAR, origin VARCHAR, is_genai BOOLEAN, capabilities VARCHAR[], audience VARCHAR,
    processing_jurisdictions VARCHAR[], adequacy VARCHAR, model_providers VARCHAR[], subprocessors VARCHAR[],
    data_classes_allowed VARCHAR[], notice_url VARCHAR, notice_reviewed_on DATE, security_assessed_on DATE,
    dpa_ref VARCHAR, contract_expiry DATE, owner_key VARCHAR, approver_key VARCHAR, approved_on DATE, dpia_ref VARCHAR,
    effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_calendar (
    start_day DATE, end_day DATE, day_type VARCHAR, name VARCHAR, period_id VARCHAR, audit_window_id VARCHAR,
    due_on DATE);

CREATE TABLE IF NOT EXISTS stg_use_case (
    use_case_id VARCHAR, use_case_title VARCHAR, area VARCHAR, unit_id VARCHAR, tool_ids VARCHAR[], purpose VARCHAR,
    route VARCHAR, self_assessed_on DATE, notified_on DATE, body_id VARCHAR, decision VARCHAR, decision_on DATE,
    minute_ref VARCHAR, conditions VARCHAR, has_personal_data BOOLEAN, has_special_category BOOLEAN,
    has_children_data BOOLEAN, automated_decision VARCHAR, risk_level VARCHAR, dpia_ref VARCHAR, dpia_status VARCHAR,
    dpia_expiry DATE, ethics_ref VARCHAR, rdmp_ref VARCHAR, quality_check_last DATE, quality_check_next DATE,
    owner_key VARCHAR, updated_on DATE, effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_risk (
    risk_id VARCHAR, use_case_id VARCHAR, rating VARCHAR, rationale VARCHAR, remediation_status VARCHAR,
    residual VARCHAR, siro_escalated_on DATE, siro_decision VARCHAR, siro_decision_on DATE, ict_notified_on DATE,
    dpo_notified_on DATE, action_id VARCHAR, action VARCHAR, action_owner_key VARCHAR, action_due DATE,
    action_done_on DATE, effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_training (
    person_key VARCHAR, alias_key VARCHAR, course_id VARCHAR, course_version VARCHAR, completed_on DATE,
    expires_on DATE, result VARCHAR, training_source VARCHAR);

CREATE TABLE IF NOT EXISTS stg_notice (
    notice_id VARCHAR, population VARCHAR, notice_version VARCHAR, published_on DATE, lawful_basis VARCHAR,
    dpia_ref VARCHAR, consultation_ref VARCHAR, url_sha256 VARCHAR, effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_misuse_report (
    report_id VARCHAR, received_on DATE, category VARCHAR, triaged_on DATE, closed_on DATE, outcome_class VARCHAR);

CREATE TABLE IF NOT EXISTS stg_body (
    body_id VARCHAR, body_name VARCHAR, name_variants VARCHAR[], area VARCHAR, policy_clauses VARCHAR[], duty VARCHAR,
    effective_from DATE, effective_to DATE);

CREATE TABLE IF NOT EXISTS stg_policy (
    policy_version VARCHAR, text_sha256 VARCHAR, effective_from DATE, effective_to DATE, next_review DATE,
    review_if_twice_a_year DATE, review_if_every_two_years DATE, clauses VARCHAR[]);

CREATE TABLE IF NOT EXISTS stg_policy_defect (
    defect_id VARCHAR, policy_version VARCHAR, clauses VARCHAR[], defect VARCHAR, handling VARCHAR);

CREATE TABLE IF NOT EXISTS stg_setting_baseline (
    setting_key VARCHAR, approved_value VARCHAR, approved_on DATE, approver_key VARCHAR, effective_from DATE,
    effective_to DATE);
