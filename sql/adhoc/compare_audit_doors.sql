-- title: Do the sources that lead to the Microsoft 365 audit log bring the same records?
-- asked by: ISS, compliance
SELECT first_source, second_source, is_settled, count(*) AS days, sum(shared_count) AS shared,
    sum(only_first_count) AS only_first, sum(only_second_count) AS only_second
FROM door_comparison GROUP BY ALL ORDER BY first_source, second_source, is_settled DESC;
