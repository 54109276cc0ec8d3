"""Pages are cut into the exact bytes of their records, and a cut-off page is never taken for a whole one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_audit.sources._raw_pages import NoRecordsError, NotAPageError, read_object, read_page

SPACE = st.sampled_from(["", " ", "\n", "\r\n\t "])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Records as some service may write them, and a page around them."""
    records = []
    for value in draw(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=5)):
        indent = draw(st.sampled_from([None, 2]))
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent)
        records.append(text.encode("utf-8", "surrogatepass"))
    gap = draw(SPACE).encode()
    listed = b"[" + gap + (gap + b"," + gap).join(records) + gap + b"]"
    link = json.dumps({"@odata.nextLink": "https://h/n", "inner": {"value": [1]}}).encode()[1:-1]
    value = b'"value"' + gap + b":" + gap + listed
    body = b"{" + (b",".join([link, value] if draw(st.booleans()) else [value, link])) + gap + b"}"
    return records, body


@given(pages())
@settings(max_examples=60, deadline=None)
def test_every_record_comes_back_byte_for_byte(drawn: tuple[list[bytes], bytes]) -> None:
    records, body = drawn
    page = read_page(body)
    assert page.records == records
    assert page.next_link == "https://h/n"
    assert len(page.values) == len(records)


@given(pages(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_page_that_was_cut_off_is_no_page(drawn: tuple[list[bytes], bytes], data: st.DataObject) -> None:
    body = drawn[1]
    length = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(NotAPageError):
        read_page(body[:length])


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id":"\xff\xfe"}',
        b'{"id":"\\ud800"}',
        b'{"n":NaN}',
        b"[" * 3000 + b"]" * 3000,
        b'{"d":' + b'{"d":' * 300 + b"1" + b"}" * 301,
        b'{"id":"line\nend"}',
        b'{"a":1,"a":2}',
        b'{"n":' + b"9" * 5000 + b"}",
    ],
)
def test_a_record_no_parser_takes_does_not_take_its_page_along(bad: bytes) -> None:
    body = b'{"@odata.nextLink":"https://h/n","value":[{"id":"a"},' + bad + b',{"id":"b]}"} ]}'
    page = read_page(body)
    assert page.records == [b'{"id":"a"}', bad, b'{"id":"b]}"}']
    assert page.values[0] == {"id": "a"}
    assert page.values[2] == {"id": "b]}"}
    assert page.next_link == "https://h/n"


def test_elements_that_are_no_objects_are_kept_for_quarantine() -> None:
    assert read_page(b'{"value":[null, 12 ,"x,]",true]}').records == [b"null", b"12", b'"x,]"', b"true"]


@pytest.mark.parametrize("body", [b'{"error":1}', b'{"value":null}', b'{"inner":{"value":[]}}', b"[]", b"{}"])
def test_a_page_without_a_list_of_records_is_told_apart(body: bytes) -> None:
    with pytest.raises(NoRecordsError):
        read_page(body)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b"\xef\xbb\xbf{}", b'{"a":1'])
def test_an_object_is_an_object(body: bytes) -> None:
    with pytest.raises(NotAPageError):
        read_object(body)
