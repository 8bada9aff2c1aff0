# Every target, one line each: make help
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help install demo serve test check unit soak fuzz openapi methods errors bench reproduce clean

help: ## List every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(READY) ## Build .venv with everything in it

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Stillhouse needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY) ## Distil a student from scikit-learn's digits, the whole way through
	$(BIN)/python examples/demo.py

serve: $(READY) ## Keep the embedded service running on http://127.0.0.1:8000
	$(BIN)/stillhouse serve

check: $(READY) ## Style, types, import boundaries
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check ## The whole suite, on real servers
	$(BIN)/python -m pytest -n 3 --dist loadgroup  # on two cores: tests of several processes wait much

unit: $(READY) ## Only the tests that start no server
	$(BIN)/python -m pytest -n 2 tests/contract tests/engine tests/architecture

soak: $(READY) ## 300 jobs under 100 faults, drawn from a seed: make soak ARGS="--seed 2 --database postgresql"
	$(BIN)/python -m tests.faults.soak $(ARGS)

fuzz: $(READY) ## Every operation with good and bad requests, all links walked: make fuzz ARGS="--minutes 10 --seed 3"
	$(BIN)/python -m tests.fuzz $(ARGS)

openapi: $(READY) ## Write the OpenAPI snapshot that the tests compare with
	$(BIN)/python -m app.api.document > tests/contract/openapi.json

methods: $(READY) ## Write docs/methods.md from the catalogue
	$(BIN)/python -m app.api.methods > docs/methods.md

errors: $(READY) ## Write docs/errors.md from app/contract/explained
	$(BIN)/python -m app.api.errors_page > docs/errors.md

bench: $(READY) ## What is measured: benchmarks/README.md
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.methods
	$(BIN)/python benchmarks/wide.py
	$(BIN)/python benchmarks/transfer.py

reproduce: $(READY) ## Known results of papers, run again: benchmarks/reproduce/README.md
	for name in mnist regulariser temperature movies methods; do $(BIN)/python -m benchmarks.reproduce.$$name || exit 1; done

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) build *.egg-info .stillhouse .mypy_cache .ruff_cache .pytest_cache
