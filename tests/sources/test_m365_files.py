"""Exported Microsoft 365 files: every form is recognised and read; what Excel damaged is refused whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_audit.decoding import Decoder, RejectedRecordError
from genai_audit.errors import BadDataError, UsageError
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings
from genai_audit.sources import _json_slices, _tables
from genai_audit.sources.m365_files import SOURCE

SAMPLES = Path(__file__).parents[2] / "../shared/samples/m365"
PORTAL = [
    "RecordId",
    "CreationDate",
    "RecordType",
    "Operation",
    "UserId",
    "AuditData",
    "AssociatedAdminUnits",
]
POWERSHELL = [
    "RunspaceId", "RecordType", "CreationDate", "UserIds", "Operations", "AuditData", "ResultIndex",
    "ResultCount", "Identity",
]  # fmt: skip


def make_audit(number: int, **more: Any) -> dict[str, Any]:
    return {
        "CreationTime": f"2026-10-01T09:00:{number % 60:02d}",
        "Id": f"00000000-0000-0000-0000-{number:012d}",
        "Operation": "CopilotInteraction",
        "RecordType": 261,
        "UserId": "someone@example.ac.uk",
        "CopilotEventData": {"AppHost": "Word", "Messages": [{"Id": "1", "isPrompt": True}]},
    } | more


def make_row(audit: str, number: int = 1, date: str = "2026-10-01T09:00:01.0000000Z ") -> list[str]:
    return [f"outer-{number}", date, "261", "CopilotInteraction", "someone@example.ac.uk", audit, ""]


def write_csv(
    path: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    first: str = "",
    encoding: str = "utf-8",
    **style: Any,
) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, **style)
    writer.writerow(header)
    writer.writerows(rows)
    path.write_bytes((first + text.getvalue()).encode(encoding))
    return path


def read(path: Path, kind: str | None = None) -> tuple[list[bytes], dict[str, Any]]:
    found = kind or SOURCE.recognise(path, path.read_bytes()[:65536])
    assert found is not None, "not recognised"
    records: list[bytes] = []
    facts: dict[str, Any] = {}
    for page in SOURCE.read(path, found, SourceContext(Settings(), path.parent)):
        records += page.records
        facts |= page.facts
    return records, facts


def land(records: Sequence[bytes]) -> tuple[list[dict[str, Any]], list[str]]:
    """What the strict decoder makes of the records: values, and reasons of the rejected ones."""
    decoder = Decoder(Settings().privacy.content_keys)
    values, reasons = [], []
    for raw in records:
        try:
            values.append(decoder.decode(raw).value)
        except RejectedRecordError as rejected:
            reasons.append(rejected.reason)
    return values, reasons


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_portal_rows_become_the_envelope_with_audit_data_untouched(tmp_path: Path, encoding: str) -> None:
    audit = '{ "Id" : "é-1",  "CreationTime":"2026-10-01T09:00:01", "RecordType": 261.0, "Operation":"x"}'
    header = [PORTAL[5], *PORTAL[:5], PORTAL[6]]
    row = make_row(audit)
    path = write_csv(tmp_path / "x.csv", header, [[row[5], *row[:5], row[6]]], encoding=encoding)
    assert SOURCE.recognise(path, path.read_bytes()) == "purview_csv"
    records, facts = read(path)
    assert audit.encode() in records[0]
    value = land(records)[0][0]
    assert list(value) == ["RecordId", "CreationDate", "RecordType", "Operation", "UserId", "AuditData"]
    assert SOURCE.identify(value).record_id == "é-1"
    assert SOURCE.identify(value).occurred_at == "2026-10-01T09:00:01"
    assert facts["file_rows"] == 1
    assert "outcome" not in facts


def test_powershell_rows_are_mapped_and_their_local_dates_are_not_trusted(tmp_path: Path) -> None:
    def row(audit: dict[str, Any], date: str, number: int) -> list[str]:
        text = json.dumps(audit)
        return [
            "r",
            "CopilotInteraction",
            date,
            "a@b.c",
            "CopilotInteraction",
            text,
            "1",
            "3",
            f"id-{number}",
        ]

    without_time = {"Operation": "CopilotInteraction"}
    rows = [
        row(make_audit(1), "3/12/2025 7:31:34 AM", 1),
        row(without_time, "3/12/2025 7:31:34 AM", 2),
        row(without_time, "18/5/2021 9:13:33 PM", 3),
    ]
    first = "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n"
    path = write_csv(tmp_path / "x.csv", POWERSHELL, rows, first=first, quoting=csv.QUOTE_ALL)
    assert SOURCE.recognise(path, path.read_bytes()) == "powershell_csv"
    found = [SOURCE.identify(value) for value in land(read(path)[0])[0]]
    assert [one.record_id for one in found] == [make_audit(1)["Id"], "id-2", "id-3"]
    assert [one.occurred_at for one in found] == [
        "2026-10-01T09:00:01",
        "3/12/2025 7:31:34 AM",  # could be March or December: landing can't read it, so no time is claimed
        "2021-05-18T21:13:33Z",
    ]


def test_the_older_portal_and_graph_csv_are_read(tmp_path: Path) -> None:
    audit = json.dumps({"Operation": "x", "Id": "1"})
    older = write_csv(
        tmp_path / "old.csv",
        ["CreationDate", "UserIds", "Operations", "AuditData"],
        [["9/20/2023 4:05:03 AM", "a@b.c", "x", audit], ["12/13/2023 17:12", "a@b.c", "x", audit]],
    )
    assert SOURCE.recognise(older, older.read_bytes()) == "older_portal_csv"
    times = [SOURCE.identify(value).occurred_at for value in land(read(older)[0])[0]]
    assert times == ["2023-09-20T04:05:03Z", "2023-12-13T17:12:00Z"]
    graph = write_csv(
        tmp_path / "graph.csv",
        ["id", "createdDateTime", "operation", "auditData"],
        [["g1", "2026-01-24T06:54:24Z", "x", '{"Operation":"x"}']],
    )
    assert SOURCE.recognise(graph, graph.read_bytes()) == "graph_csv"
    value = land(read(graph)[0])[0][0]
    assert value["auditData"] == {"Operation": "x"}
    assert SOURCE.identify(value).record_id == "g1"


def test_single_bad_cells_are_handed_on_for_the_quarantine(tmp_path: Path) -> None:
    rows = [make_row(json.dumps(make_audit(n)), n) for n in range(200)]
    rows[7][5] = ""
    rows[9][5] = ""
    rows[11][5] = '{"Id":"1","PromptText":"secret'
    records, facts = read(write_csv(tmp_path / "x.csv", PORTAL, rows))
    values, reasons = land(records)
    assert (len(values), reasons) == (197, ["not_json"] * 3)
    assert facts["unreadable_rows"] == 3
    # The landing must see that the cell may hold prompt text, so the CSV's doubled quotes are gone.
    assert Decoder(["PromptText"]).mentions_content(records[11])


def test_an_audit_data_cell_that_is_json_but_no_object_is_never_an_envelope(tmp_path: Path) -> None:
    rows = [make_row(json.dumps(make_audit(n)), n) for n in range(100)]
    rows[3][5] = '{"Id":"1"},"Operation":"forged"'
    values, reasons = land(read(write_csv(tmp_path / "x.csv", PORTAL, rows))[0])
    assert (len(values), reasons) == (99, ["not_json"])


@pytest.mark.parametrize(
    ("damage", "lines"),
    [
        (lambda rows: rows[4].pop(), "line 6"),
        (lambda rows: rows[4].append("x"), "line 6"),
        (lambda rows: rows.insert(4, ['"CreationTime":"x"}']), "line 6"),
        (lambda rows: rows[4].__setitem__(5, '{"Id":"' + "x" * 32_760), "line 6"),
        (
            lambda rows: [r.__setitem__(5, r[5].replace('"', "“")) for r in rows],
            "lines 2, 3, 4, 5, 6, 7, 8, 9",
        ),
        (lambda rows: [r.__setitem__(5, r[5][:-1]) for r in rows[:3]], "lines 2, 3, 4"),
    ],
)
def test_a_file_that_excel_damaged_is_refused_with_line_numbers(
    tmp_path: Path, damage: Any, lines: str
) -> None:
    rows = [make_row(json.dumps(make_audit(n)), n) for n in range(100)]
    damage(rows)
    path = write_csv(tmp_path / "x.csv", PORTAL, rows)
    with pytest.raises(BadDataError) as refused:
        read(path)
    assert lines in refused.value.where
    assert "export it again" in refused.value.next_step
    assert "example.ac.uk" not in f"{refused.value} {refused.value.next_step}"


def test_a_portal_file_with_semicolons_is_refused_and_a_powershell_file_is_not(tmp_path: Path) -> None:
    audit = json.dumps(make_audit(1))
    portal = write_csv(tmp_path / "p.csv", PORTAL, [make_row(audit)], delimiter=";")
    with pytest.raises(BadDataError, match="commas"):
        read(portal)
    header = ["RecordType", "CreationDate", "UserIds", "Operations", "AuditData"]
    shell = write_csv(tmp_path / "s.csv", header, [["x", "y", "z", "w", audit]], delimiter=";")
    assert len(read(shell)[0]) == 1


def test_a_quote_that_is_never_closed_is_refused_at_its_line(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.csv", PORTAL, [make_row(json.dumps(make_audit(1)))])
    path.write_bytes(path.read_bytes() + b'a,b,c,d,e,"{""Id"":1\r\nf,g\r\n')
    with pytest.raises(BadDataError, match="line 3"):
        read(path)


def test_bytes_that_are_no_utf8_go_to_the_quarantine(tmp_path: Path) -> None:
    rows = [make_row(json.dumps(make_audit(n)), n) for n in range(100)]
    rows[0][4] = "caf@"
    path = write_csv(tmp_path / "x.csv", PORTAL, rows)
    path.write_bytes(path.read_bytes().replace(b"caf@", b"caf\xe9"))
    assert land(read(path)[0])[1] == ["not_utf8"]


@pytest.mark.parametrize(
    "content", [b"", ",".join(PORTAL).encode(), (",".join(PORTAL) + "\r\n\r\n").encode()]
)
def test_a_file_without_records_proves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    records, facts = read(path, "purview_csv")
    assert records == []
    assert (facts["outcome"], facts["reason"]) == ("unproven", "the file holds no record")


def test_a_round_number_of_rows_is_not_taken_for_complete(tmp_path: Path) -> None:
    header = ["RecordType", "CreationDate", "UserIds", "Operations", "AuditData"]
    rows = [["x", "", "u", "o", json.dumps(make_audit(n))] for n in range(100)]
    facts = read(write_csv(tmp_path / "x.csv", header, rows))[1]
    assert facts["outcome"] == "unproven"
    assert "100 rows" in facts["reason"]


def test_an_ediscovery_report_is_named_and_refused(tmp_path: Path) -> None:
    header = ["Item class", "Date", "Sender", "Internet message ID", "Compound path"]
    path = write_csv(tmp_path / "x.csv", header, [["IPM", "", "", "1", ""]], encoding="utf-8-sig")
    with pytest.raises(BadDataError, match="eDiscovery"):
        read(path)


def test_an_unknown_kind_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(UsageError, match="nonsense"):
        read(tmp_path / "x.csv", "nonsense")


def test_graph_dumps_are_cut_into_their_exact_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_json_slices, "BLOCK", 7)
    records = [
        '{ "id": "g1",\n "createdDateTime":"2026-01-24T06:54:24.0000000Z","auditData":{"a":1.0}}',
        json.dumps({"id": "g2", "auditData": {"dynamicProperties": {"Id": "inner", "CreationTime": "t"}}}),
        json.dumps({"id": "g3", "auditData": json.dumps({"Id": "text", "CreationTime": "t"})}),
        '{"id":"g4","n":NaN,"auditData":{}}',
        '{"id":"g5","auditData":' + "[" * 3000 + "]" * 3000 + "}",
    ]
    path = tmp_path / "dump.json"
    path.write_text(
        '{"@odata.context":"x#auditLog", "more":[1,{"a":2}],\r\n"value": [' + " ,\n".join(records) + "]}"
    )
    assert SOURCE.recognise(path, path.read_bytes()) == "graph_json"
    found, facts = read(path)
    assert [raw.decode() for raw in found] == records
    assert facts == {"file_rows": 5}
    values, reasons = land(found)
    assert reasons[0] == "not_a_number"
    assert len(reasons) == 2
    assert [SOURCE.identify(value).record_id for value in values] == ["g1", "inner", "text"]


def test_a_dump_that_names_a_next_page_is_partial_and_a_bare_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    record = json.dumps(make_audit(1))
    path.write_text('{"value":[' + record + '],"@odata.nextLink":"https://graph.microsoft.com/next"}')
    assert read(path)[1]["outcome"] == "partial"
    path.write_bytes(f"[{record},{record}]".encode("utf-16"))
    assert len(read(path)[0]) == 2
    path.write_text('{"@odata.context":"…#security/auditLog/queries","value":[]}')
    assert read(path)[1]["outcome"] == "unproven"


def test_a_dump_that_is_cut_off_is_refused_before_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text('{"value":[' + json.dumps(make_audit(1)) + "," + json.dumps(make_audit(2))[:-9])
    pages = SOURCE.read(path, "graph_json", SourceContext(Settings(), tmp_path))
    with pytest.raises(BadDataError, match="cut off"):
        next(pages)


def test_a_first_record_longer_than_the_head_is_recognised(tmp_path: Path) -> None:
    record = json.dumps(make_audit(1, Padding="x" * 70_000))
    for content, kind in ((record, "jsonl"), ('{"value": [' + record + "]}", "graph_json")):
        assert SOURCE.recognise(tmp_path, content.encode()[:65536]) == kind


def test_json_lines_are_read_bare_enveloped_and_wrapped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    bare, graph = json.dumps(make_audit(1)), json.dumps({"id": "g", "auditData": make_audit(2)})
    wrapped = json.dumps({"_source": "somewhere", "_note": "n", "record": make_audit(3)})
    path.write_text("\n".join([bare, "", graph, wrapped, '{"broken'] * 2))
    assert SOURCE.recognise(path, path.read_bytes()) == "jsonl"
    records, _ = read(path)
    assert records[:4] == [bare.encode(), graph.encode(), json.dumps(make_audit(3)).encode(), b'{"broken']
    assert len(land(records)[0]) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PersonId,EffectiveDate\na,b\n",
        b"hello\nworld\n",
        b'{"actor":{},"verb":{},"object":{},"id":"x"}\n',
        b'{"sensor":"x","data":[{"type":"Event"}]}',
        b'{"value":[{"id":"1","userDisplayName":"x","appId":"y"}]}',
        b"PK\x03\x04\x00\x00",
        b"[1,2]",
        b"{",
    ],
)
def test_other_files_are_not_recognised(tmp_path: Path, content: bytes) -> None:
    assert SOURCE.recognise(tmp_path / "x", content) is None


cells = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=8
) | st.sampled_from(['a"b', '","', '""', 'a,"', '"\n"', '{"a":"b,c"}', "\n"])


@settings(deadline=None)
@given(st.lists(st.lists(cells, min_size=3, max_size=3), max_size=5), st.sampled_from(",;\t"), st.booleans())
def test_rows_equal_those_of_the_csv_module(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, quote_all: bool
) -> None:
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    write_csv(path, ["a", "b", "c"], rows, delimiter=delimiter, quoting=quoting)
    layout = _tables.Layout("utf-8-sig", delimiter, ("a", "b", "c"))
    assert [found for _, found in _tables.read_rows(path, layout)] == rows


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "kind", "count", "without_id"),
    [
        ("infosecstreams_huntress2023/purview.csv", "purview_csv", 219, 0),
        ("MicrosoftDocs_office-365-management-api/audit_records_from_docs.jsonl", "jsonl", 14, 0),
        ("elastic_integrations/o365_audit_events_transcribed.jsonl", "jsonl", 5, 0),
        ("pnp_fixtures_transcribed/copilot_shapes.jsonl", "jsonl", 6, 4),
    ],
)
def test_public_samples_are_read_whole(name: str, kind: str, count: int, without_id: int) -> None:
    path = SAMPLES / name
    assert SOURCE.recognise(path, path.read_bytes()[:65536]) == kind
    records, _ = read(path)
    values, reasons = land(records)
    assert (len(records), reasons) == (count, [])
    found = [SOURCE.identify(value) for value in values]
    assert sum(one.record_id is None for one in found) == without_id
    assert all(one.occurred_at for one in found if one.record_id)


@pytest.mark.skipif(not SAMPLES.exists(), reason="the shared samples are not beside this checkout")
def test_public_organisation_tables_and_vle_files_are_not_audit_records() -> None:
    others = [*SAMPLES.glob("sumitsadhu1*/*.csv"), *(SAMPLES.parent / "vle").rglob("*.json")]
    assert len(others) > 100
    assert [path.name for path in others if SOURCE.recognise(path, path.read_bytes()[:65536])] == []
