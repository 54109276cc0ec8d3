"""The strict decoder: what parsers disagree on is refused, content is cut, the rest is kept byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genai_audit.decoding import Decoder, RejectedRecordError
from genai_audit.settings import Settings

REASONS = {"oversized", "not_utf8", "not_json", "not_an_object", "duplicate_key", "too_deep", "not_a_number",
           "number_out_of_range", "lone_surrogate"}  # fmt: skip
DECODER = Decoder(("PromptText", "ResponseText"), record_bytes=10_000)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":{"b":1,"b":1}}', "duplicate_key"),
        (b'{"a":"\\ud800"}', "lone_surrogate"),
        (b'{"a":"\xff"}', "not_utf8"),
        (b'{"a":NaN}', "not_a_number"),
        (b'{"a":1e999}', "number_out_of_range"),
        (b'{"a":18446744073709551616}', "number_out_of_range"),
        (b'{"a":' + b"9" * 5000 + b"}", "number_out_of_range"),
        (b"[1,2]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"5", "not_an_object"),
        (b"", "not_json"),
        (b'{"a":1}}', "not_json"),
        (b'{"a":1', "not_json"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "too_deep"),
        (b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", "too_deep"),
        (b'{"a":"' + b"x" * 10_000 + b'"}', "oversized"),
        (b'\xef\xbb\xbf{"a":1}', "not_json"),
    ],
)
def test_what_parsers_disagree_on_is_refused_with_a_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(RejectedRecordError) as refused:
        DECODER.decode(raw)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1.0,"b":[true,null]}',
        b'{"name":"caf\xc3\xa9 \xf0\x9f\x8e\x93"}',
        b'{"a":"\\u0022quoted\\u0022"}',
        b'{ "a" : 1 }',
        b'{"a":9223372036854775807}',
        b'{"a":"\\u0000"}',
    ],
)
def test_a_good_record_is_kept_byte_for_byte(raw: bytes) -> None:
    decoded = DECODER.decode(raw)
    assert decoded.line == raw
    assert decoded.value == json.loads(raw)
    assert decoded.cut == 0


def test_line_ends_outside_strings_become_spaces_so_that_a_record_is_one_line() -> None:
    decoded = DECODER.decode(b'{\r\n "a": "x\\ny"\n}')
    assert b"\n" not in decoded.line
    assert json.loads(decoded.line) == {"a": "x\ny"}


@pytest.mark.parametrize(
    "record",
    [
        {"PromptText": "secret words"},
        {"a": [{"b": {"prompttext": "secret words"}}]},
        {"a": json.dumps({"PromptText": "secret words"})},
        {"a": json.dumps([{"x": json.dumps({"ResponseText": "secret words"})}])},
        {"a": '{"PromptText": "secret words" this is not json'},
        {"a": 'x {"PromptText":"secret words"}'},
        {"a": '{"b":1} {"PromptText":"secret words"}'},
        {"a": "{'PromptText': 'secret words'}"},
        {"a": 'x {"\\u0050romptText":"secret words"}'},
        {"a": '{"b":{"PromptText":"secret words"},"b":1}'},
        {"a": json.dumps({"PromptText": "secret words", "b": "\ud800", "c": 2**70})},
        {"a": json.dumps(json.dumps({"PromptText": "secret words"}))},
        {" PromptText": "secret words"},
        {"\tPromptText\u2003": "secret words"},
        {"a": [{"\u00a0ResponseText ": "secret words"}]},
        {"a": json.dumps({"\n PromptText": "secret words"})},
        {"a": "x " + json.dumps({" PromptText ": "secret words"})},
        {"isPrompt": True, "PromptText": "secret words"},
    ],
)
def test_content_is_cut_wherever_it_hides(record: dict[str, object]) -> None:
    for ascii_only in (True, False):
        decoded = DECODER.decode(json.dumps(record | {"Id": "kept"}, ensure_ascii=ascii_only).encode())
        assert b"secret" not in decoded.line
        assert "secret" not in json.dumps(decoded.value)
        assert decoded.cut >= 1
        assert decoded.value["Id"] == "kept"


def test_an_escaped_key_is_cut_too() -> None:
    assert b"secret" not in DECODER.decode(b'{"\\u0050romptText":"secret"}').line


@pytest.mark.parametrize(
    "raw",
    [
        b'{"note":"the field PromptText is documented"}',
        b'{"note":"the \\"PromptText\\" field: see it"}',
        b'{"isPrompt":true,"note":"PromptText"}',
        b'{"a":"{guid} \\\\users\\\\PromptText"}',
    ],
)
def test_a_word_in_a_value_is_no_content_key(raw: bytes) -> None:
    decoded = DECODER.decode(raw)
    assert (decoded.line, decoded.cut) == (raw, 0)


@pytest.mark.parametrize(
    ("raw", "may_hold"),
    [
        (b'x,""PromptText"":""secret""', True),
        (b"{'prompttext': 'secret'}", True),
        (b"{PROMPTTEXT=secret}", True),
        (b'{"\\u0050romptText":"secret"', True),
        (b'{"\\tPromptText":"secret"', True),
        ('{"PromptText":"secret"}'.encode("utf-16"), True),
        (b'{"id":1,"id":2}', False),
        (b'{"isPromptText":true', False),
    ],
)
def test_of_broken_bytes_the_bare_name_is_enough(raw: bytes, may_hold: bool) -> None:
    assert DECODER.may_hold_content(raw) is may_hold


def test_without_content_keys_nothing_is_cut() -> None:
    decoder, raw = Decoder(()), b'{"":"x","PromptText":"\\u0041"}'
    assert decoder.decode(raw).line == raw
    assert not decoder.may_hold_content(b'{"":')


@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=4))
def test_every_json_object_survives_unless_it_holds_content(value: dict[str, object]) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        decoded = DECODER.decode(raw)
    except RejectedRecordError as refused:
        assert refused.reason in ("lone_surrogate", "not_utf8")
    else:
        assert json.loads(decoded.line) == decoded.value
        assert b"\n" not in decoded.line


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_decoder(raw: bytes) -> None:
    try:
        DECODER.decode(raw)
    except RejectedRecordError as refused:
        assert refused.reason in REASONS


@pytest.mark.parametrize(
    "raw",
    [
        b'{"PromptText":"x"}',
        b'{"prompt":"x"}',
        b'{" Prompt":"x"}',
        b'{"a":"{\\"Prompt\\":1}"}',
        b'{"\\u0050rompt":1}',
        b'{"a":"\\u0022Response\\u0022:1"}',
        b"{'messagebody':1}",
        b'{"\\tTranscript":1}',
        b'{"x":1,"DetectedValues":[]}',
    ],
)
def test_the_quick_search_lets_no_content_key_pass(raw: bytes) -> None:
    decoder = Decoder(Settings().privacy.content_keys)
    assert decoder.find_suspects([b'{"Messages":[{"isPrompt":true}]}', raw]) == [False, True]


@given(
    st.sampled_from(Settings().privacy.content_keys),
    st.sampled_from(("", " ", "\\t", "\\u0020", "x")),
    st.booleans(),
)
def test_what_a_close_look_would_cut_is_suspect(key: str, before: str, is_upper: bool) -> None:
    decoder = Decoder(Settings().privacy.content_keys)
    raw = f'{{"isPrompt":true,"{before}{key.upper() if is_upper else key}":"secret"}}'.encode()
    [is_suspect] = decoder.find_suspects([raw])
    assert is_suspect or decoder.decode(raw).cut == 0
    assert decoder.decode(raw, is_suspect=is_suspect).cut == decoder.decode(raw).cut
