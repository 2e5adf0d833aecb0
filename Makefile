# Every target sets up what it needs, from nothing; a second time that costs nothing and needs no network.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check format lint types bench
.SUFFIXES:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(shell find plugins dags transforms -name '*.py')

# Nothing but the interpreter at hand is used: uv must neither fetch one nor sync into a virtual environment that happens to be active.
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-14s %s\n", $$1, $$2 }'

setup: .venv/compiled ## install everything, locked, into this folder

demo up: export AIRFLOW_HOME := $(CURDIR)

demo: setup ## run a province in small through all four verbs, and show what came of it
	@$(BIN)/python -m crossdock.demo $(ARGS)

up: setup ## start all of Airflow on 127.0.0.1; Ctrl-C ends it
	@$(BIN)/python -m crossdock.airflow.up

test: setup ## run every test, with real PostgreSQL and S3 servers
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: lint types test ## format, lint, types and tests: what has to pass

format: setup ## format the code, and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lint: setup ## check format and style
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: setup ## check types
	$(BIN)/mypy

bench: setup ## measure judging and loading beside other engines, deliveries, and a year's ledger
	$(BIN)/python tests/benchmarks/validation.py $(ARGS)
	$(BIN)/python tests/benchmarks/flow.py
	$(BIN)/python tests/benchmarks/delivery.py
	$(BIN)/python tests/benchmarks/loading.py
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/ledger.py
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/dashboard.py

.venv/installed: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "crossdock needs Python 3.11 to 3.13. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@uv=uv; $$uv --version >/dev/null 2>&1 || { \
		uv=var/tools/bin/uv; [ -x $$uv ] || { $(PYTHON) -m venv var/tools && var/tools/bin/python -m pip install --quiet uv; }; \
	} && $$uv sync --locked --compile-bytecode --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

# uv compiles what it installs, but not what is edited here; nor does it compile the inner loops for this processor.
.venv/compiled: .venv/installed $(SOURCES)
	@$(BIN)/python -m compileall -q plugins dags transforms
	@$(BIN)/python -c 'from crossdock import rowhash; from crossdock.ledger import segment_evidence; rowhash.warm_up(); segment_evidence.warm_up()'
	@touch $@
