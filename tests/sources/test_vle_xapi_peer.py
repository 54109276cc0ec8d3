"""The real Ralph Learning Record Store, whose ways differ from the standard (facts/vle.md §6.3), as a peer.

It filters by the time of the event, writes no stored time and no consistency header, gives at most 100
statements a page and an empty page at the end, and keeps the order of its file.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import SAMPLES
from genai_audit.calendars import Window
from genai_audit.demo._sign_in import write_private
from genai_audit.demo.lrs import make_statement
from genai_audit.errors import ConfigurationError
from genai_audit.registry import SourceContext
from genai_audit.settings import Settings
from genai_audit.sources._xapi_statements import VOIDED, VleXapiOptions, XapiRule
from genai_audit.sources.vle_xapi import SOURCE, pull
from peers import peer_python

PINS = ("ralph-malph[cli,lrs]==5.1.0", "requests>=2.31")  # it needs requests and doesn't say so
FUN = SAMPLES / "vle/openfun_ralph/statements_first3000.jsonl.gz"
START = datetime(2026, 10, 6, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1))
YEAR_2021 = Window(datetime(2021, 11, 1, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC))
CHAT, VIDEO = "https://vle.westbridge.example/tools/tutor/chat", "https://vle.westbridge.example/videos/7"

pytestmark = pytest.mark.slow


@dataclass
class Ralph:
    """A running store, and the context of a pull from it."""

    context: SourceContext
    has_sample: bool

    def pull(self, window: Window, **options: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        changed = replace(self.context, options=self.context.options.model_copy(update=options))
        pages = list(pull(window, changed))
        facts = {key: value for page in pages for key, value in page.facts.items()}
        return [json.loads(record) for page in pages for record in page.records], facts


def make_day() -> list[dict[str, Any]]:
    """Two full pages: 120 chats, one of them voided at the end, 78 videos, one unlisted id."""
    moments = [START + timedelta(minutes=6 + 7 * number) for number in range(200)]
    day = [make_statement(n, moment, CHAT if n < 120 else VIDEO) for n, moment in enumerate(moments)]
    reference = {"objectType": "StatementRef", "id": day[3]["id"]}
    day[198]["object"] = {"id": "https://vle.westbridge.example/objects/ai.studio.open"}
    day[199] |= {"verb": {"id": VOIDED}, "object": reference}
    return day


@pytest.fixture(scope="module")
def ralph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ralph]:
    python = peer_python("ralph", PINS)
    folder = tmp_path_factory.mktemp("ralph")
    (folder / "app").mkdir()
    (folder / "data").mkdir()
    sample = gzip.decompress(FUN.read_bytes()) if FUN.exists() else b""
    seed = sample + b"".join(json.dumps(one).encode() + b"\n" for one in make_day())
    (folder / "data" / "fs_lrs.jsonl").write_bytes(seed)  # statements that are posted later are refused
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {
        "RALPH_RUNSERVER_BACKEND": "fs", "RALPH_APP_DIR": str(folder / "app"),
        "RALPH_BACKENDS__LRS__FS__DEFAULT_DIRECTORY_PATH": str(folder / "data"),
    }  # fmt: skip
    add_user = ["auth", "-u", "audit", "-p", "secret", "-s", "all", "-M", "mailto:audit@example.org", "-w"]
    command = [str(python.with_name("ralph")), *add_user]
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python), "-m", "uvicorn", "ralph.api:app", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/__heartbeat__", server, folder / "server.log")
            options = VleXapiOptions(
                url=f"http://127.0.0.1:{port}/xAPI", user="audit",
                password_path=write_private(folder / "password", b"secret"),
                rules=(XapiRule(feature="Tutor: message sent", tool="Tutor", object_id_prefix=CHAT),),
                retry_seconds=0.01, deadline_minutes=1,
            )  # fmt: skip
            context = SourceContext(Settings(), folder / "state" / "vle_xapi", options)
            yield Ralph(context, bool(sample))
        finally:
            server.terminate()
            server.wait(20)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_a_day_is_read_to_its_end_in_spite_of_the_quirks(ralph: Ralph) -> None:
    records, facts = ralph.pull(DAY)
    assert (facts["statements"], facts["genai"], facts["unclassified"]) == (200, 120, 1)
    assert (facts["not_genai"], facts["voiding"], facts["voided"]) == (78, 1, 1)
    assert (len(records), facts["outcome"]) == (120, "complete")
    assert len({record["record_id"] for record in records}) == 120
    assert make_statement(3, START, CHAT)["id"] not in {record["record_id"] for record in records}
    assert facts["page_count"] == 3  # the last one is empty
    assert facts["consistent_through"] is None
    assert "no stored time" in facts["reason"]
    assert {record.get("actor") for record in records} == {f"u{n}" for n in range(7)}
    assert "Person" not in json.dumps(records)


def test_video_statements_of_a_course_platform_hold_no_genai_use(ralph: Ralph) -> None:
    if not ralph.has_sample:
        pytest.skip("the shared samples are not beside this checkout")
    records, facts = ralph.pull(YEAR_2021)
    assert (records, facts["statements"], facts["not_genai"]) == ([], 3000, 3000)
    assert (facts["page_count"], facts["outcome"]) == (31, "complete")
    assert "none of 3,000 statements matches a rule" in facts["reason"]
    played = XapiRule(feature="x", verb="https://w3id.org/xapi/video/verbs/played")
    assert len(ralph.pull(YEAR_2021, rules=(played,))[0]) == 878  # asked of the store, a verb finds nothing


def test_an_empty_day_proves_nothing(ralph: Ralph) -> None:
    records, facts = ralph.pull(Window(DAY.end, DAY.end + timedelta(days=1)))
    assert (records, facts["outcome"], facts["statements"]) == ([], "unproven", 0)


def test_small_pages_and_a_killed_pull(ralph: Ralph, tmp_path: Path) -> None:
    options = ralph.context.options.model_copy(update={"page_size": 30})
    context = replace(ralph.context, options=options, state_dir=tmp_path / "vle_xapi")
    whole, facts = Ralph(context, False).pull(DAY)
    assert facts["page_count"] == 7
    reader = pull(DAY, context)
    next(reader)
    reader.close()
    assert len(list(context.state_dir.iterdir())) == 2
    again, facts = Ralph(context, False).pull(DAY)
    assert (again, facts["page_count"]) == (whole, 7)
    assert list(context.state_dir.iterdir()) == []


def test_a_wrong_password_is_said_and_the_right_one_answers(ralph: Ralph, tmp_path: Path) -> None:
    assert SOURCE.probe is not None
    assert "answers" in SOURCE.probe(ralph.context)
    with pytest.raises(ConfigurationError, match="refused the sign-in"):
        ralph.pull(DAY, password_path=write_private(tmp_path / "password", b"wrong"))
