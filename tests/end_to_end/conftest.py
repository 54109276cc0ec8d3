"""One finished audit that the read-only suites share, made once by the real command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from builders import DAY, copilot_record
from end_to_end.audits import QUICK, Audit, make_store
from genai_audit.demo.tenant import PretendTenant
from genai_audit.demo.university import University

SINCE, UNTIL = "2026-10-06", "2026-10-09"  # in summer time: a UK day lies across two UTC days
CANARY_PROMPT = "canaryprompt-please-summarise-my-grievance"
CANARY_UNKNOWN = "canaryunknown-text-in-a-key-nobody-documents"
CANARY_UPN = "Quentin.Canarybird@westbridge.example"
RESTRICTED = "11111111-2222-4333-8444-555555555555"
PEOPLE = 40


@dataclass
class Finished:
    """A finished audit, its tenant (still answering) and the ids the tenant holds."""

    audit: Audit
    tenant: PretendTenant
    truth: set[str]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("finished")
    store = make_store(DAY, days=3, per_day=300, people=PEOPLE)
    truth = {f"r-{number}" for number in range(900)}
    for number, record in enumerate(_special_records()):
        moment = DAY + timedelta(hours=30, minutes=number)
        store.add(moment, record)
        truth.add(f"s-{number}")
    store.add(DAY + timedelta(hours=30), next(iter(_special_records())))  # the tenant gives this one twice
    with PretendTenant(store, workdir=folder / "tenant") as tenant:
        audit = Audit(folder / "workspace")
        audit.must("init")
        audit.configure(tenant.as_toml(), QUICK)
        _fill_registers(audit)
        audit.must("pull", "--since", SINCE, "--until", UNTIL)
        audit.must("import", str(_write_vle_export(folder)))
        audit.must("run", "--since", UNTIL, "--until", UNTIL)
        yield Finished(audit, tenant, truth)


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Audit:
    """A copy of the finished audit that a test may change."""
    return make_copy(finished, tmp_path)


@pytest.fixture(scope="session")
def make_audit(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Audit]:
    """Makes new workspaces with given sections of configuration."""
    template = Audit(tmp_path_factory.mktemp("template") / "workspace")
    template.must("init")

    def make(folder: Path, *sections: str) -> Audit:
        shutil.copytree(template.root, folder / "workspace")
        audit = Audit(folder / "workspace")
        audit.configure(*sections)
        return audit

    return make


def make_copy(finished: Finished, folder: Path) -> Audit:
    shutil.copytree(finished.audit.root, folder / "workspace")
    return Audit(folder / "workspace")


def _special_records() -> Iterator[bytes]:
    """Record `s-0` onwards: each shows one thing that some suite looks for."""
    at = DAY + timedelta(hours=30)
    messages = [{"Id": str(n), "isPrompt": n % 2 == 0, "JailbreakDetected": n == 2} for n in range(3)]
    resource = {"Id": "doc-1", "Action": "Read", "SensitivityLabelId": RESTRICTED, "Type": "docx",
                "SiteUrl": "https://westbridge.sharepoint.com/sites/x/Shared/Pay of Canarybird.docx",
                "Status": "success"}  # fmt: skip
    yield copilot_record(at, record_id="s-0", event={"Messages": messages})
    yield copilot_record(at + timedelta(minutes=1), record_id="s-1", event={"AccessedResources": [resource]})
    yield copilot_record(at + timedelta(minutes=2), record_id="s-2", body={"PromptText": CANARY_PROMPT},
                         event={"Response": {"Body": CANARY_PROMPT}})  # fmt: skip
    yield copilot_record(at + timedelta(minutes=3), record_id="s-3", body={"Musings": CANARY_UNKNOWN},
                         event={"DraftOfUser": {"Text": CANARY_UNKNOWN}})  # fmt: skip
    yield copilot_record(at + timedelta(minutes=4), record_id="s-4", user=CANARY_UPN)
    yield copilot_record(at + timedelta(minutes=5), record_id="s-5", user=CANARY_UPN.upper(),
                         body={"UserId": CANARY_UPN, "UserKey": CANARY_UPN})  # fmt: skip


def _fill_registers(audit: Audit) -> None:
    people = [f"u{number:03}@westbridge.example" for number in range(PEOPLE)]
    rows = [f",{upn},phys,staff" for upn in ("a.lovelace@westbridge.example", CANARY_UPN, *people)]
    registers = {
        "directory": ["object_id,upn,unit_id,role", *rows],
        "units": ["unit_id,unit_name,parent_unit_name", "phys,Physics,Science"],
        "labels": ["label_id,label_name,label_rank,valid_from,valid_to",
                   f"{RESTRICTED},Restricted,30,2025-01-01,"],
    }  # fmt: skip
    for name, lines in registers.items():
        (audit.workspace.registers / f"{name}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _write_vle_export(folder: Path) -> Path:
    path = folder / "ultra_events.csv"
    University(7, 60, 28, date.fromisoformat(UNTIL)).write_vle_csv(path)
    return path
