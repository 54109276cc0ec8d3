"""The pretend tenant with the records of a file, as a process of its own:

    python -m genai_audit.demo.serve_file --records FILE.ndjson --workdir DIR [--faults JSON]

It prints one JSON line (url, tenant_id, client_id, paths, toml) and serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from datetime import datetime
from pathlib import Path

from genai_audit.demo._faults import Faults
from genai_audit.demo._record_store import RecordStore
from genai_audit.demo.tenant import PretendTenant


def main() -> None:
    """Serve a file of records until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A pretend Microsoft 365 tenant.")
    parser.add_argument("--records", type=Path, required=True, help="NDJSON, or a file of RecordStore.write")
    parser.add_argument("--workdir", type=Path, required=True, help="for certificates and the client secret")
    parser.add_argument("--faults", type=Faults.from_json, default=Faults(), help="JSON of Faults' fields")
    parser.add_argument("--page-size", type=int, default=1000)
    parser.add_argument("--cap", type=int, default=1_000_000)
    parser.add_argument("--polls-until-ready", type=int, default=1)
    parser.add_argument("--now", type=datetime.fromisoformat, help="records that arrive later are not shown")
    parser.add_argument("--port", type=int, default=0)
    wish = vars(parser.parse_args())
    stopped = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stopped.set())
    with PretendTenant(RecordStore.read(wish.pop("records")), **wish) as tenant:
        facts = {
            "url": tenant.url, "tenant_id": tenant.tenant_id, "client_id": tenant.client_id,
            "ca_path": str(tenant.ca_path), "secret_path": str(tenant.secret_path),
            "certificate_path": str(tenant.certificate_path), "toml": tenant.as_toml(),
        }  # fmt: skip
        print(json.dumps(facts), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
