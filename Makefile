# `make demo` and `make test` work from a fresh clone: each target sets up .venv itself.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# `make bench BENCH_ARGS="--quick"`; `make demo DEMO_ARGS=…`
BENCH_ARGS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help install demo test lint bench constraints image clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

$(STAMP): pyproject.toml constraints.txt .ci/find-python
	@echo "==> installing into $(VENV) (pinned by constraints.txt)"
	@test -x $(BIN)/python || "$$(.ci/find-python)" -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

install: $(STAMP) ## Set up .venv with everything that development needs
	@echo "==> ready: $(BIN)/authz $$($(BIN)/authz version)"

demo: $(STAMP) ## Real Envoy, real mTLS, a table of requests, a hot swap and a short load
	@echo "==> demo: Envoy asks, authz answers"
	@$(BIN)/python -m bench.demo $(DEMO_ARGS)

lint: $(STAMP) ## ruff (rules and format) and mypy --strict
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "==> mypy --strict"
	@$(BIN)/mypy

test: lint ## lint, then every test
	@echo "==> pytest"
	@$(BIN)/pytest -q $(PYTEST_ARGS)

bench: $(STAMP) ## Measure; results go to bench/results/
	@echo "==> bench: results are written to bench/results/"
	@$(BIN)/python -m bench $(BENCH_ARGS)

constraints: $(STAMP) ## Write constraints.txt anew from what .venv holds
	@{ echo '# Exact versions of everything, made from .venv by `make constraints`; `make install` uses it.'; \
	   $(BIN)/python -m pip freeze --exclude-editable; } > constraints.txt
	@touch $(STAMP)

image: ## Build the container image authz:dev
	docker build --tag authz:dev .

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist ./*.egg-info
