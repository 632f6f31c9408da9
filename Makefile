# `make run`, `make test`, `make ui`, `make e2e`, `make prove`, `make soak`, `make nights`, `make bench`: each sets up what it needs in .venv first.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run ui test e2e check prove soak nights bench lock clean

run: .venv/ready
	@$(BIN)/python -m flows.imdb_compare $(ARGS)

ui: .venv/ready
	@$(BIN)/python -m flows.server.ui

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# In a browser without a window: Chromium must be installed. Screenshots stay in results/e2e.
e2e: .venv/ready
	$(BIN)/python -m pytest -m e2e tests/e2e

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

prove: .venv/ready
	@$(BIN)/python -m tests.simulations.prove $(ARGS)

# The slow tests first; stdout is for the soak's line of JSON alone.
soak: .venv/ready
	@$(BIN)/python -m pytest -m slow -n 2 --dist loadgroup 1>&2
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

# Thirty simulated nights, at most ten minutes; progress goes to stderr, the last line of stdout is JSON.
nights: .venv/ready
	@$(BIN)/python -m tests.simulations.nightly $(ARGS)

# `BENCH=short make bench` takes five minutes. Progress goes to stderr; the last line of stdout is JSON.
bench: .venv/ready
	@$(BIN)/python -m tests.benchmarks.bench $(if $(filter short,$(BENCH)),--short) $(ARGS)

# pip checks the hash of every package. The lock is complete, so nothing else may be added (--no-deps).
.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version)'
	@echo "Setting up .venv (one or two minutes, 3 GB) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

# Reads pyproject.toml and pins every package, with hashes, for all platforms.
lock: .venv/ready
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf results .venv
