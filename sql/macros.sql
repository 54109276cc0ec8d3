-- Small words that every query may use.
CREATE OR REPLACE MACRO uk_day(instant) AS (instant AT TIME ZONE 'Europe/London')::DATE;
CREATE OR REPLACE MACRO pct(part, whole) AS CASE WHEN whole > 0 THEN round(100.0 * part / whole, 1) END;
CREATE OR REPLACE MACRO academic_year(day) AS
    CASE WHEN month(day) >= 8 THEN year(day) ELSE year(day) - 1 END || '/'
    || lpad((((CASE WHEN month(day) >= 8 THEN year(day) + 1 ELSE year(day) END) % 100))::VARCHAR, 2, '0');
