# Two commands matter: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
# Compiled modules are kept, or every start would compile Great Expectations and Prefect again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RECORDS ?= 1000000

.PHONY: demo test test-slow lint bench clean

# A fresh workspace each time: the pretend university ends yesterday, so that of another day is another one.
demo: $(STAMP)
	rm -rf workspace-demo
	$(BIN)/genai-audit --workspace workspace-demo demo

test: lint
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMP)
	$(BIN)/python benchmarks/bench_ingest.py --records $(RECORDS)
	$(BIN)/python benchmarks/bench_growth.py --run $(RECORDS)
	$(BIN)/python benchmarks/bench_m365_pull.py
	$(BIN)/python benchmarks/bench_pulls.py

clean:
	rm -rf $(VENV) workspace-demo bench-data dist .mypy_cache .ruff_cache .hypothesis

# Everything comes from the lock file, by hash; the project itself is linked in place. Debian ships venv apart.
$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)
