-- Shared by all families. Run once a connection, before the family's own statements.
-- Given by parsing.py: variables source, package_id, inner_pad, outer_pad; function python_token(domain, identity).

SET TimeZone = 'UTC';

-- NULL for what holds nothing.
CREATE OR REPLACE MACRO filled(value) AS nullif(trim(value), '');

-- A time without a zone is UTC. Seven decimals and a trailing space occur (facts/m365.md §7.1).
CREATE OR REPLACE MACRO read_time(value) AS TRY_CAST(trim(value) AS TIMESTAMPTZ);
CREATE OR REPLACE MACRO uk_day(instant) AS (instant AT TIME ZONE 'Europe/London')::DATE;

-- Pseudonyms: the same tokens as privacy/pseudonyms.py, computed here because Python needs 15 microseconds for
-- each (2.5 here) and one interpreter lock for all threads. A test holds the two together. Only plain ASCII
-- without outer white space is done here; anything else goes to Python, which knows Unicode.
SET VARIABLE alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
SET VARIABLE letter_pairs = (
  SELECT list(substr(getvariable('alphabet'), n // 32 + 1, 1) || substr(getvariable('alphabet'), n % 32 + 1, 1) ORDER BY n)
  FROM range(1024) AS numbers(n)
);
CREATE OR REPLACE MACRO letters(number, shift) AS getvariable('letter_pairs')[((number >> shift) & 1023) + 1];
CREATE OR REPLACE MACRO bits(hex, start, digits) AS ('0x' || substr(hex, start, digits))::BIGINT;
-- The first 130 bits of a hex digest as 26 base32 letters.
CREATE OR REPLACE MACRO base32(hex) AS
  letters(bits(hex, 1, 15), 50) || letters(bits(hex, 1, 15), 40) || letters(bits(hex, 1, 15), 30)
  || letters(bits(hex, 1, 15), 20) || letters(bits(hex, 1, 15), 10) || letters(bits(hex, 1, 15), 0)
  || letters(bits(hex, 16, 15), 50) || letters(bits(hex, 16, 15), 40) || letters(bits(hex, 16, 15), 30)
  || letters(bits(hex, 16, 15), 20) || letters(bits(hex, 16, 15), 10) || letters(bits(hex, 16, 15), 0)
  || letters(bits(hex, 31, 3), 2);
CREATE OR REPLACE MACRO keyed_hash(domain, identity) AS
  sha256(getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode('v1|' || domain || '|' || lower(identity)))));
CREATE OR REPLACE MACRO is_plain(identity) AS
  strlen(identity) = length(identity) AND left(identity, 1) > ' ' AND right(identity, 1) > ' ';
CREATE OR REPLACE MACRO prefix(domain) AS CASE domain WHEN 'person' THEN 'ps_' WHEN 'thread' THEN 'th_'
  WHEN 'resource' THEN 'rs_' WHEN 'site' THEN 'st_' WHEN 'course' THEN 'co_' WHEN 'incident' THEN 'in_' WHEN 'object' THEN 'ob_' END;
