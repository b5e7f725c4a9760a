PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.installed
DASHBOARD := .venv-dashboard
DASHBOARD_READY := $(DASHBOARD)/.installed
# One more than there are cores: tests of the terminal spend half their time waiting for it.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.DEFAULT_GOAL := help
.PHONY: help demo test pytest test-all check format bench keys glossary pages screenshot clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "monosem needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(PEERS_READY): tests/bench/peers.txt
$(DASHBOARD_READY): tests/bench/peers_dashboard.txt
$(PEERS_READY) $(DASHBOARD_READY):
	@echo "installing libraries that make bench compares with into $(@D): a few minutes, once"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -c $< torch
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

demo: $(READY)  ## train a small model and its features, then browse them
	@$(BIN)/monosem demo

check: $(READY)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY)  ## everything a change must pass
	@$(MAKE) --no-print-directory -j2 check pytest

pytest: $(READY)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow and not gpu" --durations=25

test-all: check  ## the slow proofs too, and what the tests cover
	$(BIN)/pytest -n auto --dist worksteal --hypothesis-profile thorough --durations=25 --cov --cov-report=term:skip-covered

format: $(READY)  ## mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## rerun the figures of docs/benchmarks.md, beside other libraries (PARTS=...)
	@$(MAKE) --no-print-directory --keep-going $(PEERS_READY) $(DASHBOARD_READY) || echo "not all other libraries could be installed: their rows will say so"
	$(BIN)/python -m tests.bench $(PARTS)

keys: $(READY)  ## renew docs/keys.md from the table of actions
	$(BIN)/python -m monosem_tui.pages.keys_page docs/keys.md

glossary: $(READY)  ## renew docs/glossary.md from the table of terms
	$(BIN)/python -m monosem_tui.pages.glossary_page docs/glossary.md

pages: $(READY)  ## renew README's tree and docs/modules.md from the docstrings
	$(BIN)/python -m tests.module_pages

screenshot: $(READY)  ## renew README's pictures from the demo's run
	$(BIN)/python -m tests.screenshot

clean:  ## remove the environment and caches, never runs
	rm -rf $(VENV) $(PEERS) $(DASHBOARD) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*
