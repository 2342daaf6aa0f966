# Everything a newcomer needs is Python $(NEEDS) and this file: what is missing goes into .venv.

PYTHON ?= python3
NEEDS := 3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Test files run side by side, each file in one process: most wait for servers. One process for all: make test SIDE_BY_SIDE=
# They begin in the order given: by the number of their tests, the longest, which have one, would all come last together.
SIDE_BY_SIDE ?= -n 2 --dist loadfile --no-loadscope-reorder
COMPILE := uv pip compile pyproject.toml --universal --python-version $(NEEDS) --generate-hashes --no-annotate --quiet
COMPILE += --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help demo up down test faults proof bench check format lock clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Watch a sample shop's customers move through stages and get their mail
	@$(BIN)/stagepost demo

up: $(INSTALLED) ## Run the whole stack on this machine until Ctrl-C
	@$(BIN)/stagepost up

down: $(INSTALLED) ## Stop a stack that was left behind
	@$(BIN)/stagepost down

test: check ## Everything: check, then the tests with real Kafka, Postgres and SMTP
	@$(BIN)/pytest $(SIDE_BY_SIDE) tests/integration tests/browser $(if $(wildcard tests/faults/test_*.py),tests/faults) -m "not long"

proof: $(INSTALLED) ## What takes minutes: real shops' whole histories, and the figures that others published of them
	@$(BIN)/pytest tests/integration -m long -rsP

faults: $(INSTALLED) ## Break a real stack at random and check all that must hold; SEED=, ROUNDS=, ONLY=
	@PYTHONPATH=tests/support $(BIN)/python -m faults_rounds $(if $(SEED),--seed $(SEED)) \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

bench: $(INSTALLED) ## How fast, as ratios against a baseline in the same run; ONLY=fold,import,crowd,late,burst,window
	@$(BIN)/python tests/bench/run.py $(if $(ONLY),--only $(ONLY))

check: $(INSTALLED) ## Lint, types, layers, unit tests, scenarios: fast
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest $(SIDE_BY_SIDE) tests/unit $(if $(wildcard tests/scenarios/test_*.py),tests/scenarios)

format: $(INSTALLED) ## Put the code into its one form
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --fix --quiet

lock: $(INSTALLED) ## Write the locks after pyproject.toml has changed; UPGRADE=1 takes the newest of everything
	@PATH="$$PATH:$(CURDIR)/$(BIN)"; $(COMPILE) --output-file requirements.lock >/dev/null
	@PATH="$$PATH:$(CURDIR)/$(BIN)"; $(COMPILE) --all-extras --output-file requirements-dev.lock >/dev/null

clean: ## Remove what was installed and what stacks have kept here
	@if [ -e .stagepost/run.json ] && [ -x $(BIN)/stagepost ]; then $(BIN)/stagepost down; fi
	@rm -rf $(VENV) .stagepost

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Stagepost needs Python $(NEEDS) or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1 || true)."; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@[ -x $(BIN)/python ] || { echo "Making $(VENV) …"; $(PYTHON) -m venv $(VENV); } || { \
		echo "$(PYTHON) can't make a virtual environment; Debian and Ubuntu have it in the package python3-venv."; exit 1; }
	@export PATH="$$PATH:$(CURDIR)/$(BIN)"; \
	command -v uv >/dev/null || { echo "Installing uv …"; $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; } && \
	echo "Installing what Stagepost needs …" && \
	uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements-dev.lock && \
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
