"""The pretend university's services, as a process of their own: `python -m genai_audit.demo.serve`.

It makes the university's records again from the same seed, so that nothing has to be handed over but numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from genai_audit.demo.services import serve
from genai_audit.demo.university import University


def main() -> None:
    """Print one JSON line, then serve until stdin closes: a demo that dies takes its tenant along."""
    parser = argparse.ArgumentParser()
    for name, kind in (("people", int), ("days", int), ("seed", int), ("last-day", date.fromisoformat)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--workdir", type=Path, required=True)
    wish = parser.parse_args()
    with serve(University(wish.seed, wish.people, wish.days, wish.last_day), wish.workdir) as toml:
        print(json.dumps({"toml": toml}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
