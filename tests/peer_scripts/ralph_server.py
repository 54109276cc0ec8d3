"""Runs in the peer's environment: the Ralph Learning Record Store over a folder that holds data/fs_lrs.jsonl.

Its address is the first line of output; ends with its input. User `audit`, password `secret`, at most 1,000
statements a page.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

folder = Path(sys.argv[1])
(folder / "app").mkdir()
environment = os.environ | {
    "RALPH_RUNSERVER_BACKEND": "fs",
    "RALPH_APP_DIR": str(folder / "app"),
    "RALPH_BACKENDS__LRS__FS__DEFAULT_DIRECTORY_PATH": str(folder / "data"),
    "RALPH_RUNSERVER_MAX_SEARCH_HITS_COUNT": "1000",
}
ralph = str(Path(sys.executable).with_name("ralph"))
add_user = ["auth", "-u", "audit", "-p", "secret", "-s", "all", "-M", "mailto:audit@example.org", "-w"]
subprocess.run([ralph, *add_user], env=environment, cwd=folder, check=True, capture_output=True)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "uvicorn", "ralph.api:app", "--host", "127.0.0.1", "--port", str(port)],
    env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)  # fmt: skip
try:
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/__heartbeat__", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    print(json.dumps({"url": f"http://127.0.0.1:{port}/xAPI"}), flush=True)
    sys.stdin.read()
finally:
    server.terminate()
    server.wait(20)
