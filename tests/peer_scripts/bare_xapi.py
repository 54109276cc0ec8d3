"""An HTTP client alone, reading all statements of a store page by page. A yardstick for our pull.

bare_xapi.py '{"url": …, "params": {…}}'
"""

import json
import resource
import sys
import time
from urllib.parse import urljoin

import httpx

task = json.loads(sys.argv[1])
started, worked, records = time.perf_counter(), time.process_time(), 0
with httpx.Client(auth=("audit", "secret"), timeout=100, trust_env=False) as client:
    client.headers["X-Experience-API-Version"] = "1.0.3"
    page = client.get(f"{task['url']}/statements", params=task["params"]).raise_for_status().json()
    while True:
        records += len(page["statements"])
        if not page.get("more"):
            break
        page = client.get(urljoin(task["url"], page["more"])).raise_for_status().json()
used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - worked}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"records": records, "peak_mb": peak, **used}))
