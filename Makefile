# The commands of this project. Each installs what it needs into .venv first.

PYTHON ?= python3
VENV := .venv
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPMENT_INSTALLED := $(VENV)/.development-installed
PEERS := $(VENV)/peers
PEERS_INSTALLED := $(VENV)/.peers-installed

.PHONY: demo test test-slow coverage test-long check bench trust docs clean

# Python compiles those modules that are used; all of them would take 50 MB.
$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Regulars needs Python 3.11 or later") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --no-compile --editable .
	touch $@

$(DEVELOPMENT_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --editable '.[charts]' --group test --group check
	touch $@

$(PEERS_INSTALLED): $(DEVELOPMENT_INSTALLED)
	$(BIN)/python -m pip install --quiet --group peers
	test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(PEERS)/bin/python -m pip install --quiet --group peers-apart
	touch $@

demo: $(INSTALLED)
	PYTHONDONTWRITEBYTECODE= $(BIN)/regulars demo

# Compiled modules are stored even where the environment says otherwise: the tests start many processes.
TEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --ignore tests/source_code --numprocesses $(WORKERS) --dist loadgroup

# All but the slow tests.
test: $(DEVELOPMENT_INSTALLED)
	REGULARS_COVERAGE=test $(TEST) -m 'not slow'

# The slow tests: with servers, commands and browsers, on PostgreSQL 15, of many rows or random histories.
test-slow: $(DEVELOPMENT_INSTALLED)
	REGULARS_COVERAGE=test-slow $(TEST) -m slow

# What the last runs of both have covered.
coverage: $(DEVELOPMENT_INSTALLED)
	$(BIN)/python tests/coverage_measurement.py

# All tests with their long forms, and more examples of what is drawn.
test-long: $(DEVELOPMENT_INSTALLED)
	REGULARS_EXAMPLES=200 $(BIN)/python -m pytest --numprocesses auto --dist loadgroup --long

check: $(DEVELOPMENT_INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/source_code

bench: $(PEERS_INSTALLED)
	$(BIN)/python -m bench

trust: $(DEVELOPMENT_INSTALLED)
	$(BIN)/python -m trust

docs: $(DEVELOPMENT_INSTALLED)
	$(BIN)/python -m regulars.docsgen docs
	$(BIN)/python -m bench.roadmap

clean:
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache
