-- One row per GenAI tool of the register.
CREATE OR REPLACE TABLE dim_tool AS
SELECT tool_id, any_value(tool_name) AS tool_name, any_value(vendor) AS vendor,
    any_value(tool_status) AS tool_status, any_value(hosting) AS hosting
FROM stg_tool GROUP BY tool_id;
