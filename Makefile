# Every target first sets up what it needs in .venv. Pass options by ARGS: make run ARGS="--seeds 5".
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 pyproject.toml
FAST_TESTS := tests/unit tests/integration tests/chaos tests/simulations tests/benchmarks

.PHONY: run ui test test-unit e2e check coverage prove soak nights bench lock clean

run: .venv/ready
	@$(BIN)/imdb-compare run $(ARGS)

ui: .venv/ready
	@$(BIN)/imdb-compare ui

# All tests except those marked slow or e2e, in two processes. Tests of one file run in the same process.
test: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(FAST_TESTS) $(ARGS)

# The tests of single functions: no server, no training.
test-unit: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests/unit $(ARGS)

# The tests of `make test`, with the share of lines that they execute in this process and its workers.
coverage: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov=flows --cov=tasks $(FAST_TESTS) $(ARGS)

# Needs Chromium, which runs without a window. Screenshots are written to results/e2e. The test of exported models needs
# node and npm.
e2e: .venv/ready
	$(BIN)/python -m pytest -m e2e tests/e2e $(ARGS)

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Statistics on simulated data with known accuracies; ARGS=--short uses fewer simulations.
prove: .venv/ready
	@$(BIN)/python -m tests.simulations.prove $(ARGS)

# All tests marked slow, of every folder but tests/e2e: interrupted runs, lost and restarted servers, Dask, databases,
# a bucket, shared results, memory, and property tests with many examples. Then runs that are killed at random moments,
# which alone take 17 minutes; ARGS are theirs. The tests print on stderr; only the last line of stdout is JSON.
soak: .venv/ready
	@$(BIN)/python -m pytest -m slow -n 2 --dist loadgroup 1>&2
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

# Thirty simulated nightly runs in at most ten minutes. Progress is on stderr; the last line of stdout is JSON.
nights: .venv/ready
	@$(BIN)/python -m tests.simulations.nightly $(ARGS)

# `BENCH=short make bench` takes some ten minutes. Progress is on stderr; the last line of stdout is JSON.
bench: .venv/ready
	@$(BIN)/python -m tests.benchmarks.bench $(if $(filter short,$(BENCH)),--short) $(ARGS)

# The project itself is installed from this folder: editable, and without a network. The recurrent loops are compiled,
# so that the first run does not wait for it.
.venv/ready: .venv/packages pyproject.toml tasks/models/kernels.py tasks/models/averages.py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@$(BIN)/python -m tasks.training.compile_kernels
	@touch $@

# pip checks the hash of every package. The lock is complete, so nothing else is installed (--no-deps).
.venv/packages: requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version)'
	@echo "Setting up .venv (one or two minutes, 3 GB) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

# Pin every package of pyproject.toml with hashes, for all platforms, and those of the image at the same versions. The
# locks do not name a registry.
lock: .venv/ready
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --upgrade --group dev -o requirements.lock
	$(COMPILE) --extra dask --extra s3 --extra xlsx -c requirements.lock -o requirements-image.lock

clean:
	rm -rf results .venv *.egg-info
