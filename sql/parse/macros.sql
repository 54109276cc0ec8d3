-- Shared by all families. Run once a connection, before the family's own statements.
-- Given by parsing.py: variables source, package_id, inner_pad, outer_pad; function python_token(domain, identity).

SET TimeZone = 'UTC';

-- NULL for what holds nothing.
CREATE OR REPLACE MACRO filled(value) AS nullif(value, '');

-- Anybody may write to a log, and people's names get into fields that should hold words of a service. Such a field is
-- kept only if it can't be an account, an address or a path: no @ (nor its look-alikes and its code in addresses), \,
-- //, path from a root or a home, control or invisible character, and at most 120 characters. What is not kept is
-- counted, as 'withheld'.
CREATE OR REPLACE MACRO is_unsafe(value) AS length(value) > 120 OR regexp_matches(value,
  '(?i)[@\x{FE6B}\x{FF20}\\\x00-\x1F\x7F-\x9F\x{AD}\x{61C}\x{200B}\x{200E}\x{200F}\x{2028}-\x{202E}\x{2060}-\x{206F}\x{FEFF}'
  || '\x{FFF9}-\x{FFFB}\x{E0000}-\x{E007F}]|//|%40|%5c|#ext#|^\s*(/|[a-z]:/)|(^|/)(users|home|personal|sites|teams)/');
CREATE OR REPLACE MACRO safe_word(value) AS CASE WHEN is_unsafe(value) THEN 'withheld' ELSE value END;
-- Ids tell records apart, so one that is no id becomes a pseudonym.
CREATE OR REPLACE MACRO safe_id(value) AS CASE WHEN is_unsafe(value) THEN python_token('object', value) ELSE value END;

-- A time without a zone is UTC. Seven decimals and a trailing space occur (facts/m365.md §7.1); the word infinity,
-- which DuckDB takes for a time, is none.
CREATE OR REPLACE MACRO read_time(value) AS
  CASE WHEN isfinite(TRY_CAST(value AS TIMESTAMPTZ)) THEN TRY_CAST(value AS TIMESTAMPTZ) END;
CREATE OR REPLACE MACRO uk_day(instant) AS (instant AT TIME ZONE 'Europe/London')::DATE;

-- Pseudonyms: the same tokens as privacy/pseudonyms.py, computed here because Python needs 15 microseconds for
-- each (2.5 here) and one interpreter lock for all threads. A test holds the two together. Only plain ASCII
-- without outer white space is done here; anything else goes to Python, which knows Unicode.
SET VARIABLE alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
SET VARIABLE letter_pairs = (
  SELECT string_agg(substr(getvariable('alphabet'), n // 32 + 1, 1) || substr(getvariable('alphabet'), n % 32 + 1, 1), '' ORDER BY n)
  FROM range(1024) AS numbers(n)
);
CREATE OR REPLACE MACRO letters(number, shift) AS substr(getvariable('letter_pairs'), ((number >> shift) & 1023) * 2 + 1, 2);
CREATE OR REPLACE MACRO bits(hex, start, digits) AS ('0x' || substr(hex, start, digits))::BIGINT;
-- 130 bits as 26 base32 letters: two numbers of 60 bits, then one of 10.
CREATE OR REPLACE MACRO base32(first, second, third) AS
  letters(first, 50) || letters(first, 40) || letters(first, 30) || letters(first, 20) || letters(first, 10) || letters(first, 0)
  || letters(second, 50) || letters(second, 40) || letters(second, 30) || letters(second, 20) || letters(second, 10) || letters(second, 0)
  || letters(third, 0);
CREATE OR REPLACE MACRO keyed_hash(domain, identity) AS
  sha256(getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode('v1|' || domain || '|' || lower(identity)))));
CREATE OR REPLACE MACRO is_plain(identity) AS
  strlen(identity) = length(identity) AND left(identity, 1) > ' ' AND right(identity, 1) > ' ';
CREATE OR REPLACE MACRO make_tokens(names) AS TABLE
  SELECT domain, name, CASE WHEN is_plain(name)
    THEN MAP {'person': 'ps_', 'thread': 'th_', 'resource': 'rs_', 'site': 'st_', 'course': 'co_', 'incident': 'in_', 'object': 'ob_'}[domain]
      || base32(first, second, third)
    ELSE python_token(domain, name) END AS token
  FROM (
    SELECT domain, name, bits(hash, 1, 15) AS first, bits(hash, 16, 15) AS second, bits(hash, 31, 3) >> 2 AS third
    FROM (SELECT domain, name, keyed_hash(domain, name) AS hash FROM query_table(names))
  );
