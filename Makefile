# Everything a newcomer needs: `make demo` plays the story, `make test` runs all tests.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# compiled files are kept: hundreds of programs are started by the tests, and each would compile everything anew
RUN := env -u PYTHONPATH -u PYTHONDONTWRITEBYTECODE $(BIN)
CODE := src tests bench tools

.PHONY: help setup demo up check format generate test test-full test-cluster soak system bench lock clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment and install the pinned dependencies

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kubernaut needs Python 3.11 or later; $(PYTHON) is older. Set PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks venv or pip. On Debian: apt-get install python3-venv python3-pip"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dependencies (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## Play the whole story: alert, diagnosis, approval, fix, verification, timeline
	@$(RUN)/kubernaut demo $(if $(INTERACTIVE),--interactive) $(if $(STEPS),--path steps)

up: $(STAMP) ## Keep an embedded cluster with all parts running until Ctrl-C
	@$(RUN)/kubernaut up

check: $(STAMP) ## Format, lint, types, import contracts, generated files, unit tests: under a minute
	@tools/check.sh

format: $(STAMP) ## Rewrite the code in the one format
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

generate: $(STAMP) ## Write the generated files: CRDs, manifests, kind pages
	@$(RUN)/python tools/generate.py

test: $(STAMP) system ## All tests
	@$(RUN)/pytest -q -n 3 --dist loadgroup

test-full: $(STAMP) system ## Every point of the long series, and new made-up examples: an hour or two
	@$(RUN)/pytest -q -m unit -n 2 --hypothesis-profile=search
	@$(RUN)/pytest -q -m full -n 2 --dist loadgroup

test-cluster: $(STAMP) ## Contract tests and journeys against the Kubernetes API of KUBECONFIG
	@test -n "$(KUBECONFIG)" || { echo "say which cluster: make test-cluster KUBECONFIG=/path/to/kubeconfig"; exit 1; }
	@KUBERNAUT_TEST_KUBECONFIG="$(KUBECONFIG)" $(RUN)/pytest -q -m anywhere

soak: $(STAMP) ## Simulated cases with faults for DURATION (10m), going on where the last soak stopped
	@$(RUN)/python tools/soak.py --duration $(or $(DURATION),10m)

system: ## Install what only the system's packages bring, where that is allowed
	@tools/system_packages.sh

bench: $(STAMP) ## Print the figures
	@for each in bench/bench_*.py; do PYTHONPATH=. $(BIN)/python $$each || exit 1; done

PIN := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --quiet
lock: ## Pin the dependencies anew: for work on it, and for running it
	@$(PIN) --group dev -o requirements.lock
	@$(PIN) -c requirements.lock -o requirements-run.lock

clean: ## Remove what was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
