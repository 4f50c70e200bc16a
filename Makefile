# `make run` and `make test` do all the set-up themselves: system libraries, virtual environment, locked dependencies.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.PHONY: run test check bench setup setup-dev lock clean

run: $(VENV)/.installed
	@$(PY) main.py $(ARGS)

# What has no clock of its own runs on two cores; sessions and whole programs run one after the other. A worker that
# died is not replaced: xdist would wait for ever for the tests it held.
CALM := tests/ui tests/unit tests/wire

test: $(VENV)/.installed-dev check
	@QT_QPA_PLATFORM=offscreen $(PY) -m pytest -n 2 --dist loadfile --max-worker-restart 0 $(CALM)
	@QT_QPA_PLATFORM=offscreen $(PY) -m pytest $(CALM:%=--ignore=%)

check: $(VENV)/.installed-dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.installed-dev
	@QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(PY) -m tests.bench $(ARGS)

setup: $(VENV)/.installed
setup-dev: $(VENV)/.installed-dev

$(VENV)/bin/python:
	@packaging/make-venv.sh $(VENV)

$(VENV)/.installed: packaging/requirements.lock packaging/system-libs.sh | $(VENV)/bin/python
	@packaging/system-libs.sh
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r packaging/requirements.lock
	@touch $@

$(VENV)/.installed-dev: packaging/requirements-dev.lock packaging/system-libs.sh | $(VENV)/bin/python
	@packaging/system-libs.sh test
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r packaging/requirements-dev.lock
	@touch $@ $(VENV)/.installed

# Needs `uv` (a resolver for all platforms at once); the locks name no index.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra postgres pyproject.toml -o packaging/requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--all-extras pyproject.toml -o packaging/requirements-dev.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
