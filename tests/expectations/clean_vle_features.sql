-- One line of the register of VLE features.
CREATE TABLE stg_vle_feature AS
SELECT 'object_id' AS match_kind, 'ai.chat.*' AS pattern, 'AI Conversation' AS feature, 'Ultra' AS tool_name,
    'unknown' AS tool_status, NULL::VARCHAR AS feature_note;
