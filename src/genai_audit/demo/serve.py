"""The pretend tenant of the demo, as a process of its own: `python -m genai_audit.demo.serve`.

It makes the university's records again from the same seed, so that nothing has to be handed over but numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from genai_audit.demo._faults import Faults
from genai_audit.demo.campus import TENANT_ID
from genai_audit.demo.tenant import PretendTenant, RecordStore
from genai_audit.demo.university import University


def main() -> None:
    """Print one JSON line, then serve until stdin closes: a demo that dies takes its tenant along."""
    parser = argparse.ArgumentParser()
    for name, kind in (("people", int), ("days", int), ("seed", int), ("last-day", date.fromisoformat)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    wish = parser.parse_args()
    university = University(wish.seed, wish.people, wish.days, wish.last_day)
    store = RecordStore()
    for created, arrived, record in university.m365_records():
        store.add(created, record, arrived=arrived)
    # What a real tenant does on an ordinary day, and one minute with more than a query may return.
    faults = Faults(
        throttle_with_retry_after=(2, 1.0),
        unavailable_burst=2,
        crowded_minute=university.capped_minute.isoformat(),
    )
    with PretendTenant(
        store,
        faults=faults,
        workdir=wish.workdir,
        tenant_id=TENANT_ID,
        now=datetime.now(UTC),
    ) as tenant:
        print(json.dumps({"toml": tenant.as_toml(), "records": len(store)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
