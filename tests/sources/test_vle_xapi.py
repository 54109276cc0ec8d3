"""Learning records from a Learning Record Store and from files: rules decide, nothing is dropped unsaid."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.applications import Starlette

from builders import SAMPLES, land, make_settings, make_workspace
from genai_audit import parsing
from genai_audit.calendars import Window
from genai_audit.configuration import options_of
from genai_audit.demo._server import LoopbackServer
from genai_audit.demo._sign_in import HOST, make_certificates, write_private
from genai_audit.demo.lrs import LrsFaults, PretendLrs, make_statement
from genai_audit.errors import BadDataError, ConfigurationError, SourceUnavailableError
from genai_audit.landing import Landing
from genai_audit.registry import RawPage, SourceContext
from genai_audit.settings import Settings
from genai_audit.sources._xapi_statements import VOIDED, VleXapiOptions, XapiRule
from genai_audit.sources._xapi_store import Credential
from genai_audit.sources.vle_xapi import SOURCE, pull, read, recognise

START = datetime(2026, 10, 6, tzinfo=UTC)  # a Tuesday
DAY = Window(START, START + timedelta(days=1))
CHAT = "https://vle.westbridge.example/tools/tutor/chat"
VIDEO = "https://vle.westbridge.example/videos/7"
RULES = (XapiRule(feature="Tutor: message sent", tool="Tutor", object_id_prefix=CHAT),)
FUN = SAMPLES / "vle/openfun_ralph/statements_first3000.jsonl.gz"


class Pulled:
    """Everything that one pull handed over."""

    def __init__(self, pages: Iterator[RawPage]) -> None:
        self.records: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        for page in pages:
            self.records += [json.loads(record) for record in page.records]
            self.facts |= page.facts

    @property
    def ids(self) -> set[str]:
        return {record["record_id"] for record in self.records}

    @property
    def outcome(self) -> str:
        return str(self.facts.get("outcome", "complete"))


class Setting:
    """A pretend store and the context of a pull from it."""

    def __init__(self, store: PretendLrs, context: SourceContext) -> None:
        self.store, self.context = store, context

    def pull(self, window: Window = DAY) -> Pulled:
        return Pulled(pull(window, self.context))

    def change(self, **values: Any) -> None:
        options = self.context.options.model_copy(update=values)
        self.context = SourceContext(self.context.settings, self.context.state_dir, options)


@contextmanager
def setting_of(
    folder: Path, statements: Sequence[tuple[datetime, dict[str, Any]]], **how: Any
) -> Iterator[Setting]:
    authority, certificate, _ = make_certificates()
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(authority)
    store = PretendLrs(statements, **how)
    server = LoopbackServer(Starlette(routes=store.routes), write_private(folder / "server.pem", certificate))
    server.start()
    options = VleXapiOptions(
        url=f"https://{HOST}:{server.port}/xAPI", user="audit", rules=RULES, ca_bundle=folder / "ca.pem",
        password_path=write_private(folder / "password", b"secret\n"), retry_seconds=0.001,
        deadline_minutes=0.2,
    )  # fmt: skip
    try:
        yield Setting(store, SourceContext(Settings(), folder / "state" / "vle_xapi", options))
    finally:
        server.stop()


def make_day(chats: int = 25, videos: int = 10) -> list[tuple[datetime, dict[str, Any]]]:
    objects = [CHAT] * chats + [VIDEO] * videos
    step = timedelta(days=1) / (len(objects) + 1)
    moments = [START + step * (number + 1) for number in range(len(objects))]
    return [(moment, make_statement(n, moment, objects[n])) for n, moment in enumerate(moments)]


def void(number: int, moment: datetime, target: dict[str, Any]) -> tuple[datetime, dict[str, Any]]:
    reference = {"objectType": "StatementRef", "id": target["id"]}
    return moment, make_statement(number, moment, VIDEO, verb={"id": VOIDED}, object=reference)


# The straight way


def test_statements_of_a_rule_become_records_and_the_others_are_counted(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(), page_size=10, consistent_through=lambda: DAY.end) as setting:
        pulled = setting.pull()
        assert pulled.facts == {
            "statements": 35, "genai": 25, "unclassified": 0, "not_genai": 10, "voiding": 0, "voided": 0,
            "unreadable": 0, "page_count": 4, "consistent_through": "2026-10-07T00:00:00Z", "retry_count": 0,
            "throttled_count": 0, "outcome": "complete", "reason": "",
        }  # fmt: skip
        assert len(pulled.ids) == len(pulled.records) == 25
        first = setting.store.requests[0]
        assert first == {"since": "2026-10-06T00:00:00Z", "until": "2026-10-07T00:00:00Z", "limit": "500"}
        assert list(setting.context.state_dir.iterdir()) == []  # a later pull asks anew


def test_a_record_holds_an_account_and_no_name(tmp_path: Path) -> None:
    moment = START + timedelta(hours=9)
    statement = make_statement(3, moment, CHAT, result={"success": True, "response": "my essay"})
    with setting_of(tmp_path, [(moment, statement)], stored_in_statement=False) as setting:
        [record] = setting.pull().records
    raw = json.dumps(statement, separators=(",", ":")).encode()
    assert record == {
        "record_id": statement["id"], "occurred_at": "2026-10-06T08:55:00Z", "record_kind": "interaction",
        "actor": "u3", "course": "https://vle.westbridge.example/courses/0", "feature": "Tutor: message sent",
        "tool": "Tutor", "outcome": "success", "map": "xapi", "raw_sha256": hashlib.sha256(raw).hexdigest(),
    }  # fmt: skip


def test_windows_join_by_stored_time_and_late_statements_are_landed(tmp_path: Path) -> None:
    """Stored at the very edge: in one of two windows, not in both. An old event stored today is today's."""
    edge = make_statement(1, START, CHAT)
    late = make_statement(2, START, CHAT, timestamp="2026-09-01T10:00:00Z")
    inside = (START + timedelta(hours=5), late)
    with setting_of(tmp_path, [(START, edge), inside]) as setting:
        before = setting.pull(Window(START - timedelta(days=1), START))
        pages = list(pull(DAY, setting.context))
    assert before.ids == {edge["id"]}
    assert SOURCE.is_window_by_arrival
    workspace = make_workspace(tmp_path)
    writer = Landing(workspace, make_settings(workspace), "run").open_package("vle_xapi", SOURCE, DAY)
    for page in pages:
        writer.add(page)
    package = writer.close()
    assert (package.counts["accepted"], package.counts["trimmed"]) == (1, 0)
    assert package.min_occurred_at == "2026-09-01T10:00:00Z"


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({"verb": "https://x.example/asked"}, {"verb": {"id": "https://x.example/asked"}}),
        ({"activity_type": "https://x.example/bot"},
         {"object": {"id": VIDEO, "definition": {"type": "https://x.example/bot"}}}),
        ({"object_id_prefix": "https://x.example/"}, {"object": {"id": "https://x.example/9"}}),
        ({"extension": "https://x.example/model"},
         {"context": {"extensions": {"https://x.example/model": "m"}}}),
        ({"extension": "https://x.example/tokens"},
         {"result": {"extensions": {"https://x.example/tokens": 5}}}),
        ({"category": "https://x.example/genai"},
         {"context": {"contextActivities": {"category": {"id": "https://x.example/genai"}}}}),
        ({"verb": "https://x.example/asked", "object_id_prefix": VIDEO},
         {"verb": {"id": "https://x.example/asked"}}),
    ],
)  # fmt: skip
def test_every_given_part_of_a_rule_must_match(
    tmp_path: Path, rule: dict[str, str], changes: dict[str, Any]
) -> None:
    path = write(tmp_path, make_statement(1, START, VIDEO, **changes), make_statement(2, START, VIDEO))
    found = read_file(path, XapiRule(feature="x", **rule))
    assert [record["record_id"][-1] for record in found.records] == ["1"]
    unmet = {"verb": "https://x.example/other"} if "verb" not in rule else {"category": "https://x.example/0"}
    assert read_file(path, XapiRule(feature="x", **rule, **unmet)).records == []


@pytest.mark.parametrize(
    ("object_id", "feature"),
    [
        ("ai.studio.tile.open", "unclassified: ai.studio.tile.open"),
        ("https://vle.example/objects/ai.helper?u=7", "unclassified: ai.helper"),
        ("https://vle.example/courses/9/ai/summary/77", "unclassified: vle.example/ai/"),
        ("https://vle.example/mail.send", None),
    ],
)
def test_what_looks_like_ai_and_is_in_no_rule_is_kept_unclassified(
    tmp_path: Path, object_id: str, feature: str | None
) -> None:
    found = read_file(write(tmp_path, make_statement(1, START, object_id)), *RULES)
    assert [record["feature"] for record in found.records] == ([feature] if feature else [])
    assert found.facts["unclassified" if feature else "not_genai"] == 1
    if feature:  # it survives the parsing, which withholds paths and addresses
        workspace = make_workspace(tmp_path)
        lines = [json.dumps(record).encode() for record in found.records]
        package = land(workspace, lines, source_id="vle_xapi")
        parsing.parse_package(workspace, package, make_settings(workspace), workspace.read_key())
        files = parsing.check_seal(workspace, package)
        assert pl.read_parquet(files["stg_vle_use"])["feature"].to_list() == [feature]


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ({"account": {"homePage": "https://x.example", "name": "u1"}, "mbox": "mailto:a@x.example"}, "u1"),
        ({"mbox": "mailto:a@x.example"}, "a@x.example"),
        ({"mbox_sha1sum": "ab12"}, "ab12"),
        ({"openid": "https://id.example/a"}, "https://id.example/a"),
        ({"objectType": "Group", "name": "Team", "member": [{"mbox": "mailto:a@x.example"}]}, None),
    ],
)
def test_an_actor_is_one_identifier(tmp_path: Path, actor: dict[str, Any], name: str | None) -> None:
    [record] = read_file(write(tmp_path, make_statement(1, START, CHAT, actor=actor)), *RULES).records
    assert record.get("actor") == name


# What proves nothing


def test_without_a_rule_nothing_is_decided(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(5, 5)) as setting:
        setting.change(rules=())
        pulled = setting.pull()
    assert (pulled.records, pulled.outcome, pulled.facts["not_genai"]) == ([], "unproven", 10)
    assert "no rule under [[vle_xapi.rules]]" in pulled.facts["reason"]


def test_an_empty_weekday_proves_nothing_and_a_quiet_one_is_counted(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(0, 4)) as setting:
        empty = setting.pull(Window(DAY.end, DAY.end + timedelta(days=1)))
        quiet = setting.pull()
        saturday = DAY.end + timedelta(days=3)
        assert setting.pull(Window(saturday, saturday + timedelta(days=1))).outcome == "complete"
    assert (empty.outcome, empty.records) == ("unproven", [])
    assert (quiet.outcome, quiet.facts["reason"]) == ("complete", "none of 4 statements matches a rule")


def test_a_store_that_lags_behind_is_partial(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(), consistent_through=lambda: START + timedelta(hours=20)) as setting:
        pulled = setting.pull()
    assert (pulled.outcome, len(pulled.records)) == ("partial", 25)
    assert "consistent only through 2026-10-06T20:00:00Z" in pulled.facts["reason"]


# What a service does wrong


@pytest.mark.parametrize(
    "faults",
    [
        {"throttle": (2, 0.01)}, {"throttle": (2, None)}, {"unavailable": 3}, {"truncated_json": 2},
        {"unauthorised": 1}, {"empty_last_page": True},
    ],
)  # fmt: skip
def test_what_passes_costs_nothing(tmp_path: Path, faults: dict[str, Any]) -> None:
    with setting_of(tmp_path, make_day(20, 0), page_size=10, faults=LrsFaults(**faults)) as setting:
        pulled = setting.pull()
        assert (pulled.outcome, len(pulled.ids)) == ("complete", 20)
        assert pulled.facts["retry_count"] == len(setting.store.requests) - pulled.facts["page_count"]
        assert pulled.facts["page_count"] == (3 if faults == {"empty_last_page": True} else 2)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"looping_page": 2}, "round in a circle"),
        ({"foreign_page": 3}, "another host"),
        ({"broken_from_page": 3}, "failed 10 times"),
    ],
)
def test_what_breaks_off_is_partial_and_keeps_what_came(
    tmp_path: Path, faults: dict[str, int], words: str
) -> None:
    with setting_of(tmp_path, make_day(40, 0), page_size=10, faults=LrsFaults(**faults)) as setting:
        pulled = setting.pull()
        assert (pulled.outcome, len(pulled.ids)) == ("partial", 20)
        assert words in pulled.facts["reason"]
        setting.store.faults = LrsFaults()
        asked = len(setting.store.requests)
        again = setting.pull()
        assert (again.outcome, len(again.ids)) == ("complete", 40)
        # It goes on where it broke off, but starts anew when the answers were not to be trusted.
        assert len(setting.store.requests) - asked == (2 if "broken_from_page" in faults else 4)


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"broken_from_page": 1}, SourceUnavailableError),
        ({"without_list": True}, SourceUnavailableError),
        ({"foreign_page": 1}, SourceUnavailableError),
        ({"unauthorised": 9}, ConfigurationError),
    ],
)
def test_nothing_at_all_raises(tmp_path: Path, faults: dict[str, Any], error: type[Exception]) -> None:
    with (
        setting_of(tmp_path, make_day(30, 0), page_size=10, faults=LrsFaults(**faults)) as setting,
        pytest.raises(error),
    ):
        setting.pull()


def test_a_killed_pull_goes_on_at_its_last_page(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(40, 0), page_size=10) as setting:
        setting.store.faults.broken_from_page = 4
        reader = pull(DAY, setting.context)
        next(reader)
        reader.close()  # as a kill would: what was read is on disk, the package is not closed
        rows = next(setting.context.state_dir.glob("*.rows"))
        rows.write_bytes(rows.read_bytes() + b"half a li")  # killed in the middle of a write
        setting.store.faults = LrsFaults()
        setting.store.requests.clear()
        pulled = setting.pull()
        assert (pulled.outcome, len(pulled.records), len(setting.store.requests)) == ("complete", 40, 1)


def test_a_link_that_has_expired_starts_the_window_anew(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(40, 0), page_size=10) as setting:
        setting.store.faults.broken_from_page = 3
        setting.pull()
        setting.store.faults = LrsFaults(expired_links=1)
        pulled = setting.pull()
        assert (pulled.outcome, len(pulled.ids), pulled.facts["statements"]) == ("complete", 40, 40)


def test_other_rules_or_another_window_never_resume(tmp_path: Path) -> None:
    with setting_of(tmp_path, make_day(40, 0), page_size=10, faults=LrsFaults(broken_from_page=3)) as setting:
        setting.pull()
        setting.store.faults = LrsFaults()
        setting.change(rules=(XapiRule(feature="Other", object_id_prefix=CHAT),))
        pulled = setting.pull()
        assert {record["feature"] for record in pulled.records} == {"Other"}
        assert len(pulled.records) == 40


def test_a_changed_password_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    with setting_of(tmp_path, []) as setting:
        assert isinstance(setting.context.options, VleXapiOptions)
        credential = Credential(setting.context.options)
        before = credential.sign()["Authorization"]
        write_private(tmp_path / "password", b"new")
        assert credential.sign()["Authorization"] == before
        credential.renew()
        assert credential.sign()["Authorization"] == "Basic YXVkaXQ6bmV3"


def test_a_voiding_statement_of_the_pull_takes_its_target_out(tmp_path: Path) -> None:
    """A store that goes by the standard leaves voided statements out; the files and some stores don't."""
    day = make_day(3, 0)
    voiding = void(9, START + timedelta(hours=23), day[1][1])
    with setting_of(tmp_path, [*day, voiding]) as setting:
        pulled = setting.pull()
    assert (len(pulled.records), pulled.facts["voiding"], pulled.facts["voided"]) == (2, 1, 0)
    found = read_file(write(tmp_path, *(one for _, one in [*day, voiding])), *RULES)
    assert found.ids == {day[0][1]["id"], day[2][1]["id"]}
    assert (found.facts["voiding"], found.facts["voided"], found.facts["genai"]) == (1, 1, 3)


# Configuration


def test_what_is_missing_is_said_before_anything_is_asked() -> None:
    assert SOURCE.missing is not None
    assert "url, user and password_path" in SOURCE.missing(Settings(), VleXapiOptions())
    full = VleXapiOptions(url="https://lrs.example", user="a", password_path=Path("/x"))
    assert SOURCE.missing(Settings(), full) == ""


def test_rules_are_read_from_the_configuration(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    text = '[[vle_xapi.rules]]\nfeature = "Tutor"\nverb = "https://x.example/asked"\n'
    options = options_of(make_settings(workspace, text), "vle_xapi")
    assert options.rules == (XapiRule(feature="Tutor", verb="https://x.example/asked"),)  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="a rule needs one of verb"):
        make_settings(workspace, '[[vle_xapi.rules]]\nfeature = "Tutor"\n')
    with pytest.raises(ConfigurationError, match="verbs: unknown key"):
        make_settings(workspace, '[[vle_xapi.rules]]\nfeature = "Tutor"\nverbs = "x"\n')


def test_the_probe_asks_for_one_statement(tmp_path: Path) -> None:
    assert SOURCE.probe is not None
    with setting_of(tmp_path, make_day(2, 0)) as setting:
        assert "answers; 1 rule(s)" in SOURCE.probe(setting.context)
        assert setting.store.requests == [{"limit": "1"}]


# Files


def write(folder: Path, *statements: Any) -> Path:
    path = folder / "statements.jsonl"
    lines = [one if isinstance(one, str) else json.dumps(one) for one in statements]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def read_file(path: Path, *rules: XapiRule) -> Pulled:
    assert recognise(path, path.read_bytes()[:65536]) == "xapi_jsonl"
    context = SourceContext(Settings(), path.parent / "state" / "vle_xapi", VleXapiOptions(rules=rules))
    return Pulled(read(path, "xapi_jsonl", context))


def test_the_same_statement_pulled_and_imported_has_one_id(tmp_path: Path) -> None:
    day = make_day(3, 0)
    with setting_of(tmp_path, day, stored_in_statement=False) as setting:
        pulled = setting.pull()
    found = read_file(write(tmp_path, *(one for _, one in reversed(day))), *RULES)
    assert found.records == pulled.records


def test_a_statement_without_a_time_has_no_id_and_none_of_its_content(tmp_path: Path) -> None:
    bad = make_statement(1, START, CHAT, timestamp="yesterday")
    found = read_file(write(tmp_path, bad, make_statement(2, START, CHAT)), *RULES)
    assert [SOURCE.identify(record).record_id is None for record in found.records] == [True, False]
    assert set(found.records[0]) == {"problem", "raw_sha256"}


def test_a_line_that_is_no_statement_is_told_and_many_refuse_the_file(tmp_path: Path) -> None:
    good = make_statement(1, START, CHAT)
    found = read_file(write(tmp_path, good, '{"cut": "o', *[VIDEO_LINE] * 3), *RULES)
    assert (found.facts["unreadable_lines"], found.facts["genai"], found.facts["not_genai"]) == (1, 1, 3)
    with pytest.raises(BadDataError, match="can't be read") as caught:
        read_file(write(tmp_path, good, '{"cut": "o', "[]"), *RULES)
    assert "lines 2, 3" in str(caught.value.where)


VIDEO_LINE = json.dumps(make_statement(5, START, VIDEO))


@pytest.mark.skipif(not FUN.exists(), reason="the shared samples are not beside this checkout")
def test_video_statements_of_a_course_platform_hold_no_genai_use(tmp_path: Path) -> None:
    path = tmp_path / "statements.jsonl"
    path.write_bytes(gzip.decompress(FUN.read_bytes()))
    found = read_file(path, *RULES)
    assert (found.records, found.facts["statements"], found.facts["not_genai"]) == ([], 3000, 3000)
    assert found.outcome == "unproven"
    aimed = read_file(path, XapiRule(feature="x", verb="https://w3id.org/xapi/video/verbs/played"))
    assert (len(aimed.records), aimed.facts["not_genai"]) == (878, 2122)
