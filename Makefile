# Two commands do all the set-up: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# Two processes, one thread each: as fast on two cores as it gets, and the same bytes everywhere.
# Tests write and sync many small files: in memory, where there is plenty, that costs nothing.
SCRATCH := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 6000000 {print "/dev/shm"}')
PYTEST := $(if $(SCRATCH),TMPDIR=$(SCRATCH)) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint bench bench-gpu validity lock clean system system-browser

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.installed system ## install, then audit the embedded example and print where the report is
	$(BIN)/imgid-audit demo --out demo

test: $(VENV)/.tested system-browser lint ## install what tests need, lint, and run all but the slow tests
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.tested system-browser lint ## the slow tests too (kills, real data, long properties)
	$(PYTEST)

lint: $(VENV)/.tested ## formatting, lint, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.tested ## the measured ratios: ingest, evaluation, start-up
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

bench-gpu: $(VENV)/.tested ## training on CUDA: images a second, peak memory; says so where there is no GPU
	$(BIN)/python benchmarks/gpu/bench_train_gpu.py

validity: $(VENV)/.tested ## the whole simulation study of intervals and verdicts, written as docs/validity.md (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.validity

lock: ## refresh constraints.txt with what resolves together now
	$(PYTHON) tools/lock.py

system: ## what WeasyPrint needs from the system, where it is missing and may be installed
	@sh tools/system.sh report

system-browser: system
	@sh tools/system.sh browser

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build dist demo *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e '.[test]'
	@touch $@
