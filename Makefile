# Everything that is run by hand or by a machine is run from here; CI calls `check`, then `slow`.
# Needs: make, Python >= 3.11 with venv, and a package index (once).

PYTHON ?= python3
CONFIG ?= config.yaml
BENCH ?=

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: help demo run test check slow nightly bench docs lock clean python-is-recent

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Send, de-identify, store and forward a study on this machine
	@$(BIN)/anonode demo

run: $(READY) ## Run the node with CONFIG (config.yaml)
	@$(BIN)/anonode run --config $(CONFIG)

test: $(READY) ## Run the tests but the slow ones
	@$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

check: $(READY) ## Check format, lint and types, then run the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory test

slow: $(READY) ## Run the slow tests
	@$(BIN)/python -m pytest -m slow -n auto --dist loadfile tests/rules
	@$(BIN)/python -m pytest -m slow --ignore=tests/rules

nightly: $(READY) ## Run the tests of faults at full size (hours), and write down what they see
	@ANONODE_NIGHTLY=1 ANONODE_FIGURES=docs/promises.jsonl \
		$(BIN)/python -m pytest tests/model tests/acceptance tests/scp/test_worker.py
	@$(MAKE) --no-print-directory docs

bench: $(BENCH_READY) ## Measure beside real peers (BENCH=quick for a short run)
	@.venv-bench/bin/python -m benchmarks $(BENCH)

# The environments are made anew when a lock changes, so that nothing stale stays in them. The
# project itself is installed without its dependencies: those come from the lock, by their hashes.
$(READY): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory python-is-recent
	@echo "Making .venv with $(PYTHON)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP) install --require-hashes --requirement requirements.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_READY): requirements.lock requirements-bench.lock pyproject.toml
	@$(MAKE) --no-print-directory python-is-recent
	@echo "Making .venv-bench with $(PYTHON)"
	@rm -rf .venv-bench
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python $(PIP) install --require-hashes \
		--requirement requirements.lock --requirement requirements-bench.lock
	@.venv-bench/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

python-is-recent:
	@command -v $(PYTHON) >/dev/null || { \
		echo "make: no '$(PYTHON)' here; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: '$(PYTHON)' is older than 3.11; name another: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: '$(PYTHON)' has no venv; on Debian: apt-get install python3-venv" >&2; \
		exit 1; }

docs: $(READY) ## Write the pages of docs/ that are made from the code
	@$(BIN)/python -m docs.generate

# A week's delay lets a bad release be found by others first. The locks hold names, versions and
# hashes only: no address of an index, no path, no host.
COMPILE = .venv-lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --exclude-newer "7 days ago"

lock: python-is-recent ## Resolve the dependencies anew
	@test -x .venv-lock/bin/uv || { \
		$(PYTHON) -m venv .venv-lock && .venv-lock/bin/python $(PIP) install uv; }
	@$(COMPILE) --upgrade --extra dev --extra pixels --output-file requirements.lock
	@$(COMPILE) --upgrade --extra bench --constraint requirements.lock \
		--output-file requirements-bench.lock

clean: ## Remove environments, caches and builds (never data/)
	@rm -rf .venv .venv-bench .venv-lock .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		build dist .coverage htmlcov
	@find rules scp tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
