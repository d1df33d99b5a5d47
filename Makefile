# One file of commands for people and for CI. `make` alone prints them.
#
# Needs Python 3.11 or later with pip, make, git, and gcc for `bench`; nothing else has to be installed before.
# Packages come from the registry that pip is configured for. No other downloads: not even Python.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
UV_VERSION := 0.13.9

BIN := .venv/bin
UV := .cache/uv/bin/uv
INSTALLED := .venv/.installed
NODE_INSTALLED := tests/node/node_modules/.installed
AXE_INSTALLED := tests/console/node_modules/.installed
# Test processes: one more than two cores, as a third of what tests take they wait for other processes.
JOBS ?= 3
# Coding agents and browsers bring processes of their own.
test-node test-console: JOBS = 2
# The longest that one test may take. The long forms of `make test-faults` have bounds of their own.
TEST_SECONDS ?= 180
# Further arguments for the tool of a target, as in: make test ARGS="-k ledger -x"
ARGS ?=

# uv works on this clone's .venv only, with the Python it was made with.
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1

# Tests as pytest compiles them are kept, wherever make runs: compiled anew, they are the half of what collecting takes.
unexport PYTHONDONTWRITEBYTECODE

##@ Use

.PHONY: help
help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## make .venv with the locked packages and .venv/bin/proxyapi

.PHONY: run
run: install ## start the gateway: SQLite and the sandbox; prints address, key and a curl line
	@exec $(BIN)/proxyapi serve $(ARGS)

.PHONY: demo
demo: install ## a tour of a few seconds: the documented requests with their answers, costs and balance
	@exec $(BIN)/proxyapi demo $(ARGS)

##@ Develop

.PHONY: test
test: install ## all fast tests; one that hangs fails by name after TEST_SECONDS
	$(BIN)/pytest -n $(JOBS) --dist worksteal --timeout $(TEST_SECONDS) -m "not long and not browser" $(ARGS)

.PHONY: test-faults
test-faults: install ## the long forms: fault injection, fuzzing, kill -9 under load
	LEDGER_LAW_EXAMPLES=1000 TRANSLATION_LAW_EXAMPLES=1000 \
		$(BIN)/pytest tests/faults tests/laws $(ARGS)

.PHONY: test-mutants
test-mutants: install ## do the tests of the ledger notice seeded bugs? About ten minutes
	$(BIN)/python tests/faults/ledger/mutate.py $(ARGS)

.PHONY: soak
soak: install ## ten minutes of steady load while workers are killed; ARGS="--engine postgres --seconds 60"
	$(BIN)/python tests/faults/soak.py $(ARGS)

.PHONY: test-node
test-node: install $(NODE_INSTALLED) ## real npm clients, and Claude Code, Codex and Gemini CLI (needs node 20)
	$(BIN)/python tests/node/run.py $(ARGS)
	$(BIN)/pytest -n $(JOBS) --timeout $(TEST_SECONDS) tests/node

.PHONY: test-console
test-console: install $(AXE_INSTALLED) ## the console in a real browser, every page with axe-core (needs chromium and npm)
	$(BIN)/pytest -n $(JOBS) --timeout $(TEST_SECONDS) -m browser tests/console $(ARGS)

.PHONY: check
check: install ## format, lint, strict types, import contracts, docs, languages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python .ci/docs.py
	$(BIN)/python .ci/languages.py

.PHONY: format
format: install ## rewrite the sources in the one format, with the safe lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: install ## rewrite the generated reference pages (settings, command line)
	$(BIN)/python .ci/docs.py --write

.PHONY: bench
bench: install build/bench/load build/bench/upstream ## the gateway beside nginx and the bare upstream; about 5 minutes
	@$(BIN)/python bench/bench.py $(ARGS)

.PHONY: bench-ledger
bench-ledger: install ## the ledger alone on SQLite and PostgreSQL: pairs of hold and settlement; about 2 minutes
	@$(BIN)/python bench/ledger.py $(ARGS)

.PHONY: lock
lock: $(UV) ## resolve the newest allowed packages into uv.lock
	env -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_INDEX UV_DEFAULT_INDEX=https://pypi.org/simple \
		$(UV) lock --upgrade --python "$(PYTHON)"

.PHONY: clean
clean: ## remove everything that make has built (your data stays)
	rm -rf .venv .cache build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf tests/node/node_modules tests/console/node_modules
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# —— Files ——————————————————————————————————————————————————————————————————————————————————————————————————————————————

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "proxyapi needs Python 3.11 or later; none found as python3.11, python3 or python." \
		"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "proxyapi needs Python 3.11 or later;" \
		"$(PYTHON) is $$("$(PYTHON)" --version 2>&1)." >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; echo "$(PYTHON) cannot make a virtual environment" \
		"(on Debian: apt-get install python3.11-venv)." >&2; exit 1; }

$(UV): | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target .cache/uv uv==$(UV_VERSION)

$(INSTALLED): pyproject.toml uv.lock .ci/install | .venv/bin/python $(UV)
	@.ci/install $(UV)
	@touch $@

$(NODE_INSTALLED): tests/node/package.json tests/node/package-lock.json
	@command -v npm >/dev/null || { echo "make test-node needs node 20 and npm" >&2; exit 1; }
	npm ci --prefix tests/node --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

$(AXE_INSTALLED): tests/console/package.json tests/console/package-lock.json
	@command -v npm >/dev/null || { echo "make test-console needs node and npm" >&2; exit 1; }
	npm ci --prefix tests/console --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

build/bench/%: bench/%.c
	@mkdir -p $(@D)
	gcc -O2 -Wall -Wextra -o $@ $<
