"""Runs in a peer's environment: the project's own code, beside a driver that the project's lock doesn't hold.

    run_project.py SRC SITE_PACKAGES cli ARGUMENTS…       the command line
    run_project.py SRC SITE_PACKAGES measure SOURCE WORKSPACE SINCE UNTIL
                                                          a pull that keeps nothing: its facts, time, memory

What the peer's environment has comes first; the rest is the project's.
"""

import importlib
import json
import resource
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])
verb, arguments = sys.argv[3], sys.argv[4:]


def measure(source_id: str, folder: str, since: str, until: str) -> None:
    from genai_audit import registry
    from genai_audit.calendars import Window
    from genai_audit.configuration import load_settings, options_of

    source = registry.sources()[source_id]
    settings = load_settings(Path(folder) / "genai-audit.toml")
    context = registry.SourceContext(
        settings, Path(folder) / "state" / source_id, options_of(settings, source_id)
    )
    window = Window(datetime.fromisoformat(since), datetime.fromisoformat(until))
    for driver in ("snowflake.connector", "psycopg"):
        with suppress(ImportError):
            importlib.import_module(driver)  # so that the time is that of the pull alone
    records = size = 0
    started, worked = time.perf_counter(), time.process_time()
    facts: dict[str, object] = {}
    assert source.pull is not None
    for page in source.pull(window, context):
        records += len(page.records)
        size += sum(map(len, page.records))
        facts |= page.facts
    used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - worked}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"records": records, "bytes": size, "peak_mb": peak, "facts": facts, **used}))


if verb == "measure":
    measure(*arguments)
else:
    from genai_audit.__main__ import main

    sys.argv = ["genai-audit", *arguments]
    main()
