-- One row per sensitivity label and period of validity.
-- The label register decides about every label that it has. A label that only Microsoft's catalogue has counts from
-- the first day that a snapshot showed it, with a rank guessed from its priority there (a sublabel lies above its
-- parent): the rank of the register's label that lies next below it, or is it; where the register has none below, ten
-- for each top-level label below, but not more than the register's lowest. It never ends, since files keep labels
-- that were withdrawn; another name, priority or register begins a new period. Without a priority there is no rank.
CREATE OR REPLACE TABLE dim_label AS
WITH listed AS (  -- one row per label and UK day
    SELECT c.occurred_day, c.label_id, c.label_name, c.parent_label_id, c.priority,
        greatest(c.priority, p.priority) AS place, coalesce(p.priority, c.priority) AS top_place,
        r.label_rank AS register_rank
    FROM stg_label_catalogue c
    LEFT JOIN stg_label_catalogue p ON p.label_id = c.parent_label_id AND p.occurred_at = c.occurred_at
    LEFT JOIN stg_label r ON r.label_id = c.label_id AND c.occurred_day >= r.valid_from
        AND (r.valid_to IS NULL OR c.occurred_day <= r.valid_to)
    QUALIFY row_number() OVER (PARTITION BY c.label_id, c.occurred_day ORDER BY c.occurred_at DESC) = 1
),
ranked AS (
    SELECT l.occurred_day, l.label_id, l.label_name,
        coalesce(
            arg_max(o.register_rank, o.place) FILTER (o.place <= l.place AND o.register_rank IS NOT NULL),
            least(10 * count(*) FILTER (o.parent_label_id IS NULL AND o.place < l.top_place), min(o.register_rank))
        )::INTEGER AS label_rank
    FROM listed l JOIN listed o ON o.occurred_day = l.occurred_day
    WHERE l.place IS NOT NULL AND l.label_id NOT IN (SELECT label_id FROM stg_label)
    GROUP BY ALL
),
begun AS (
    SELECT *, lag(struct_pack(label_name, label_rank)) OVER (PARTITION BY label_id ORDER BY occurred_day) AS earlier
    FROM ranked
)
SELECT label_id, label_name, label_rank, valid_from, valid_to FROM stg_label
UNION ALL
SELECT label_id, label_name, label_rank, occurred_day,
    lead(occurred_day) OVER (PARTITION BY label_id ORDER BY occurred_day) - 1
FROM begun WHERE earlier IS DISTINCT FROM struct_pack(label_name, label_rank);
