-- The register of VLE features: what in the VLE's own logs stands for GenAI. It was applied when a record was landed;
-- here it says which features and tools were known, and their status.
CREATE TABLE IF NOT EXISTS stg_vle_feature (
    match_kind VARCHAR, pattern VARCHAR, feature VARCHAR, tool_name VARCHAR, tool_status VARCHAR, feature_note VARCHAR);
