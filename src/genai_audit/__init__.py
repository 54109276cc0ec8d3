"""genai-audit: evidence for a university's GenAI policy, from activity logs it already has."""

import os

__version__ = "0.1.0"

# Set before anything can import Prefect or Great Expectations: an audit tool sends nothing anywhere.
TELEMETRY_OFF = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}
os.environ.update(TELEMETRY_OFF)
