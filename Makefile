# Needs Python 3.11+ and nothing else; everything it installs stays in .venv, policies/.venv, .tools and .estate.
PYTHON ?= python3
STACK ?= dev
# The Pulumi SDKs are a million lines: compiling them again at every start costs seconds a process.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin
ESTATE := $(BIN)/estate
.DEFAULT_GOAL := help
.PHONY: help mutants env up down reset status shell preview test check format lock bench cold contracts coverage airflow cloud-config

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

env: ## The root environment from its hashed lock
	@$(PYTHON) local_estate/environments.py root

up: env ## Estate, engine, stacks shared and dev, a day of data through the exported jobs
	@$(ESTATE) up --stack $(STACK)

down: env ## Stop the local estate; its state stays
	@$(ESTATE) down

reset: env ## Stop the local estate and delete its state
	@$(ESTATE) reset

status: env ## What exists, what ran, row counts
	@$(ESTATE) status

shell: env ## A shell in which plain `pulumi preview -s dev` works against the local estate
	@$(ESTATE) shell

preview: env ## What `up` would change, with the policies' verdict: make preview STACK=test ARGS="--full --refresh --json"
	@$(ESTATE) preview --stack $(STACK) $(ARGS)

test: env ## The whole test suite; CHANGED=1: the layers whose sources differ from main
	@$(BIN)/python -m tests.run $(if $(CHANGED),--changed)

check: env ## Formatting, lint, types, architecture, policy configuration
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && PYTHONPATH=platform:policies:workloads $(BIN)/lint-imports && $(BIN)/python -m local_estate.api.coverage --check

format: env ## Format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

contracts: env ## Validate data contracts and samples, compare with the last release: make contracts ARGS="--write --release"
	@mkdir -p build && $(BIN)/python -m lakehouse.contracts --readable
	@if $(BIN)/python -m samples.generate --out build/contract-samples --day 1 --rows 500 > /dev/null 2> build/contract-samples.err; then \
	  $(BIN)/python -m lakehouse.contracts --samples build/contract-samples $(ARGS); \
	else \
	  $(BIN)/python -m lakehouse.contracts; \
	  echo "samples/ does not fit the contracts: $$(tail -1 build/contract-samples.err) (all of it: build/contract-samples.err)" >&2; exit 1; \
	fi

coverage: env ## Write local_estate/COVERAGE.md from the route tables
	@$(BIN)/python -m local_estate.api.coverage

airflow: env ## Airflow in an environment of its own, .tools/airflow (docs/airflow.md)
	@$(BIN)/python local_estate/environments.py airflow

cloud-config: env ## A stack's configuration for a real tenant: make cloud-config ARGS="--stack dev --tenant-id …"
	@PYTHONPATH=platform $(BIN)/python -m release.cloud_config $(ARGS)

bench: env ## Measure: build/bench.json and a table; some of it: make bench ARGS="day memory"
	@$(BIN)/python -m bench.run $(ARGS)

lock: ## Resolve requirements/*.in into hashed locks
	@for name in root policies airflow uv go jdk; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q requirements/$$name.in -o requirements/$$name.txt; done

mutants: env ## Seeded faults, each to be caught by the test named beside it: make mutants ARGS="providers"
	@$(BIN)/python -m tests.mutants $(ARGS)

cold: ## Proof: a fresh clone with an empty HOME, then make up and make test
	@bash tests/cold.sh
