"""Entry point: `genai-audit` and `python -m genai_audit`."""

from genai_audit.cli import main

if __name__ == "__main__":
    main()
