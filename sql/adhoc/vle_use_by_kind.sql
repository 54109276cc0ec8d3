-- title: What did the VLE report, by kind of record? (Kinds are never added together.)
-- asked by: LIDE, compliance
SELECT record_kind, feature, sum(quantity) AS quantity, count(*) AS records FROM vle_use
GROUP BY ALL ORDER BY record_kind, quantity DESC;
