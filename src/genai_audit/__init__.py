"""genai-audit: evidence for a university's GenAI policy, from activity logs it already has."""

__version__ = "0.1.0"
