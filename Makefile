# gtlab: one command each. `make` alone lists them. Works with GNU make 3.81 (macOS) and newer.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.gtlab-setup
# Present only while packages are being installed: one left over means an interrupted set-up.
HALF  := $(VENV)/.gtlab-half
LOCK  := requirements.lock
# Other projects' servers, for the benchmarks only: gtlab itself does not need them.
PEERS := .peers
# What tests need from npm, each in a folder of its own; their tests are skipped where npm is not. It is installed before
# the tests, because a test reaches no other machine.
HUB_PROXY := out/hub-proxy
DYNALITE := out/dynalite
# The tests' home folder.
TEST_HOME := $(CURDIR)/out/test-home
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
UV ?= uv
# Tests at a time. Most of them wait, for a kernel or for a table, so more than there are cores.
WORKERS ?= 6
# The quick ones compute.
QUICK_WORKERS ?= 2
SOAK_WORKERS ?= 2
# Nothing in the real home folder is read or written by a test, whichever folder a program takes from the environment.
PYTEST := mkdir -p "$(TEST_HOME)" && exec env -u PYTHONDONTWRITEBYTECODE -u AWS_PROFILE -u AWS_ENDPOINT_URL -u XDG_STATE_HOME -u XDG_CONFIG_HOME \
  -u XDG_DATA_HOME -u XDG_CACHE_HOME HOME="$(TEST_HOME)" GTLAB_HOME="$(TEST_HOME)/gtlab" $(BIN)/python -m pytest
ARGS ?=

# Candidates for the Python that makes .venv; `make setup PYTHON=/path/to/python3.12` chooses one.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11

.DEFAULT_GOAL := help
.PHONY: help setup lab tour quick test soak lint bench lock clean FORCE

help: ## List these commands
	@echo 'gtlab: a hands-on course on DynamoDB global tables'
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'ARGS passes options on, for instance: make tour ARGS="04 -p samples 50"'

setup: $(STAMP) ## Create .venv with everything in it (the other commands do this when needed)

lab: setup ## Open JupyterLab on your working copy of the course, gtlab-course/, and start the local cloud
	@exec $(BIN)/gtlab lab $(ARGS)

tour: setup ## Run every notebook without a browser, with the exercises solved; executed copies go to out/
	@exec $(BIN)/gtlab tour --solve $(ARGS)

quick: setup ## Run the tests that need no process of their own (half a minute)
	@$(PYTEST) --numprocesses $(QUICK_WORKERS) --dist loadfile \
	  -m 'not slow and not server and not notebooks and not browser' $(ARGS)

test: setup $(HUB_PROXY)/.stamp ## Run all tests (about 9 minutes)
	@$(PYTEST) --numprocesses $(WORKERS) --dist worksteal $(ARGS)

soak: setup $(HUB_PROXY)/.stamp $(DYNALITE)/.stamp ## Run the tests that draw at random with random seeds, and for longer
	@export GTLAB_SOAK=1 && $(PYTEST) --numprocesses $(SOAK_WORKERS) --dist worksteal -m soak --verbose \
	  --durations 0 --durations-min 10 --timeout 3600 $(ARGS)

$(HUB_PROXY)/.stamp: PACKAGE := configurable-http-proxy@5.3.0
$(DYNALITE)/.stamp: PACKAGE := dynalite@4.0.0
$(HUB_PROXY)/.stamp $(DYNALITE)/.stamp: Makefile
	@command -v npm >/dev/null || exit 0; mkdir -p $(@D) && echo "Installing $(PACKAGE) into $(@D)"; \
	  npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(@D) $(PACKAGE) && touch $@ \
	  || echo "$(PACKAGE) cannot be installed, so what needs it is skipped" >&2

lint: setup ## Check the style and the types of the code, and the style of the notebooks
	@$(BIN)/python -m ruff check $(ARGS) .
	@$(BIN)/python -m mypy

bench: setup $(PEERS)/.stamp ## Run the benchmarks (about half an hour, on a quiet machine) and keep the figures in benchmarks/RESULTS.md
	@exec $(BIN)/python benchmarks --moto $(PEERS)/bin/python $(ARGS)

$(PEERS)/.stamp: benchmarks/peers.lock | setup
	@rm -rf $(PEERS)
	@$(BIN)/python -m venv $(PEERS)
	@echo "Installing what gtlab is compared with into $(PEERS)"
	@$(PEERS)/bin/python -m pip --quiet --disable-pip-version-check --no-input install --no-deps --require-hashes \
	  --requirement benchmarks/peers.lock
	@touch $@

lock: ## Bring the lock files up to date (needs uv; ARGS=--upgrade for the newest releases)
	@command -v $(UV) >/dev/null || { echo 'make lock needs uv: python3 -m pip install uv' >&2; exit 1; }
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) pip compile --quiet --universal --generate-hashes \
	  --python-version 3.11 --all-extras --no-annotate $(ARGS) \
	  --output-file $(LOCK) pyproject.toml
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(UV) pip compile --quiet --universal --generate-hashes \
	  --python-version 3.11 --no-annotate $(ARGS) --output-file benchmarks/peers.lock benchmarks/peers.in
	@echo "$(LOCK): $$(grep -c == $(LOCK)) packages"

clean: ## Remove .venv, out/ and caches (not the local cloud's state)
	rm -rf $(VENV) $(PEERS) out dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp holds the folder it was made in: scripts in .venv name that folder, so a moved checkout gets a new one.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif

$(STAMP): pyproject.toml $(LOCK)
	@set -e; \
	here="$$(cat $(STAMP) 2>/dev/null || true)"; \
	if [ -e $(HALF) ] || [ "$$here" != "$(CURDIR)" ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV); \
	  found=; tried=; \
	  for python in $(PYTHON); do \
	    command -v "$$python" >/dev/null || continue; \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && found="$$python" && break; \
	    tried="$$tried $$python ($$("$$python" --version 2>&1 | head -1))"; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "gtlab needs Python 3.11 or newer; found:$${tried:- no Python}." >&2; \
	    echo "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; \
	  fi; \
	  "$$found" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$$found cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; }; \
	  echo "Making $(VENV) with $$("$$found" --version)"; \
	  mkdir -p $(VENV); touch $(HALF); \
	  "$$found" -m venv $(VENV); \
	fi; \
	touch $(HALF); \
	echo "Installing the packages of $(LOCK) into $(VENV) (about a minute, once)"; \
	$(PIP) install --no-deps --require-hashes --requirement $(LOCK); \
	$(PIP) install --no-deps --no-build-isolation --editable .; \
	rm -f $(HALF); \
	printf '%s\n' "$(CURDIR)" > $(STAMP); \
	echo "Ready."
