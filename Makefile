# Everything sets itself up: a virtual environment in .venv, with the versions of constraints.txt.
PYTHON ?= python3
BACKEND ?= sqlite
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One more than there are cores: the tests that kill and stop things run in one process, and wait most of the time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.DEFAULT_GOAL := help
.PHONY: help demo test quick check docs wheel bench chaos cutover mutants model findings format clean

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## watch a stream of webhook events being processed (BACKEND=sqlite|redis|postgres)
ifneq ($(BACKEND),sqlite)
	@$(MAKE) --no-print-directory $(VENV)/.installed-dev
endif
	@$(BIN)/queuekit demo --backend $(BACKEND)

test: $(VENV)/.installed-dev ## run all tests, with servers that the suite starts itself
	@$(BIN)/coverage erase
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=
	@$(BIN)/coverage report --include='queuekit/*' --skip-covered --fail-under=95

quick: $(VENV)/.installed-dev ## after each change: unit tests without those of servers, and the suite on SQLite
	$(BIN)/pytest -q -n $(WORKERS) tests/unit tests/conformance/test_sqlite.py --ignore tests/unit/test_servers.py

check: $(VENV)/.installed-dev ## format, lint, import directions, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	PYTHONPATH=backends:contrib $(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml

mutants: $(VENV)/.installed-dev ## weaken every guard in SQL and Lua, one at a time; the suite must see each
	$(BIN)/python -m tests.mutants $(ARGS)

model: $(VENV)/.installed-dev ## explore the protocol of a cutover whole: some hours
	QUEUEKIT_TEST_MODEL=whole $(BIN)/pytest -q -n $(WORKERS) tests/model $(ARGS)

cutover: $(VENV)/.installed-dev ## the suite through two backends as one, for every pair in every phase, and a live move at full size
	QUEUEKIT_TEST_CUTOVER=whole $(BIN)/pytest -q -n $(WORKERS) tests/cutover $(ARGS)
	QUEUEKIT_CHAOS=full $(BIN)/pytest -v -p no:randomly tests/chaos/test_cutover.py $(ARGS)

chaos: $(VENV)/.installed-dev ## kill processes and servers, and run hostile tasks, at full size: long
	QUEUEKIT_CHAOS=full $(BIN)/pytest -v -p no:randomly $(patsubst %,tests/chaos/test_%.py,books kills poison idle) tests/worker/test_hostile.py $(ARGS)

bench: $(VENV)/.installed-dev ## measure throughput on all three backends
	$(BIN)/python benchmarks/throughput.py $(ARGS)

findings: ## try again what surprised us in public packages; needs a package index
	@failed=0; for finding in findings/*.sh; do \
	  $$finding; \
	  case $$? in 0) echo "passed: $$finding" ;; 1) echo "changed: $$finding"; failed=1 ;; \
	    *) echo "not tried: $$finding"; failed=1 ;; esac; \
	done; exit $$failed

wheel: $(VENV)/.installed-dev ## build a wheel, and import it from an empty environment
	@rm -rf dist && $(BIN)/python -m build --wheel --outdir dist . >/dev/null
	@$(PYTHON) -m venv dist/empty
	@dist/empty/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	@cd dist && empty/bin/python -I -c "import queuekit, queuekit_redis, queuekit_postgres, queuekit_sqlite"
	@cd dist && empty/bin/queuekit --help >/dev/null && echo 'the wheel works'

docs: $(VENV)/.installed-dev ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.installed-dev ## format, and mend what can be mended
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'queuekit needs Python 3.11 or newer: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'installing queuekit into $(VENV)'
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo 'installing what developing needs'
	@$(PIP) --editable '.[dev]'
	@touch $@

clean: ## remove what the above made
	rm -rf $(VENV) site dist .coverage* .mypy_cache .pytest_cache .ruff_cache
