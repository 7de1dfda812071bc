# The project's commands. Every target sets up what it needs; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.11
UV_VERSION := 0.9.30
BIN := .venv/bin
PORT ?= 8080
WAV ?=
SUITE ?=
STAGE ?=
ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# --- set-up ------------------------------------------------------------------------------------------------------

.PHONY: venv
venv: .venv/.installed ## Create .venv with every extra (again only when pyproject.toml or constraints.txt change)

.venv/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing the packages of pyproject.toml into .venv (the first time some minutes: torch is large) …"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q -c constraints.txt -e '.[all]'
	@touch $@

.venv/.eval: .venv/.installed  # Whisper base, which listens to the report's recordings, and the baseline's runtime
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q -c constraints.txt -e '.[all,eval]'
	@touch $@

.PHONY: constraints
constraints: venv ## Pin anew what the packages of pyproject.toml need
	@$(BIN)/uv pip compile -q pyproject.toml --extra all --extra voices -c constraints.txt --no-annotate --no-header \
	  --no-emit-index-url -o constraints.new
	@mv constraints.new constraints.txt

.PHONY: tools
tools: ## Install the Debian packages that tests and training need, where they are missing
	@infra/setup/apt.sh

# --- run ---------------------------------------------------------------------------------------------------------

.PHONY: run
run: venv ## Kafka, Redis and all services on this machine, without Docker (PORT=8080, ARGS="--help")
	@exec $(BIN)/python -m infra.local up --port $(PORT) $(ARGS)

.PHONY: demo
demo: venv ## Play a recorded conversation through everything, in real time (WAV=file for one of yours)
	@exec $(BIN)/python -m infra.demo $(if $(WAV),--wav '$(WAV)') $(ARGS)

.PHONY: replay
replay: venv ## Run a session of the log, or a file, again and compare (SESSION=id OTHER=folder: another model beside it)
	@exec $(BIN)/python -m infra.replay $(if $(SESSION),'$(SESSION)' $(if $(OTHER),--model '$(OTHER)'),list) $(ARGS)

.PHONY: bench
bench: venv ## Measure the running time of a frame (SUITE=overhead, nano, speech)
	@exec $(BIN)/python -m infra.bench $(or $(SUITE),overhead) $(ARGS)

.PHONY: eval
eval: .venv/.eval ## Behaviour report: scenarios with nano, baseline, controls (SUITE=turn-taking N=10 MODELS=nano SESSIONS=8)
	@exec $(BIN)/python -m infra.eval $(or $(SUITE),all) $(if $(N),--n $(N)) $(if $(MODELS),--models $(MODELS)) \
	  $(if $(SESSIONS),--sessions $(SESSIONS)) $(ARGS)

.PHONY: chaos
chaos: venv ## Break the running pipeline in every way we know (FAULTS=kill-interaction SESSIONS=10 ARGS="--help")
	@exec $(BIN)/python -m infra.chaos $(if $(FAULTS),--faults $(FAULTS)) $(if $(SESSIONS),--sessions $(SESSIONS)) $(ARGS)

.PHONY: train
train: venv tools ## Train nano from scratch, or its voice: STAGE=speech (ARGS=--tiny: a minute's proof)
	@exec $(BIN)/python -m training$(if $(STAGE),.$(STAGE)) $(ARGS)

.PHONY: up
up: ## The same in containers: docker compose up (ARGS="--scale interaction=3")
	@test -e .env || { umask 077; token=$$(head -c 24 /dev/urandom | base64 | tr '+/' '-_'); \
	  sed "s/^CAPTURE_TOKENS=$$/CAPTURE_TOKENS=$$token/" .env.example >.env; echo "wrote .env with a random token"; }
	@exec docker compose up --build $(ARGS)

# --- checks ------------------------------------------------------------------------------------------------------

.PHONY: test
test: venv tools ## All tests, on a real Kafka and a real Redis that they start (SLOW=1: the slow ones too)
	@$(BIN)/python -m pytest $(if $(SLOW),,-m 'not slow') $(PYTEST_ARGS)

.PHONY: check
check: venv ## Formatting rules, types, import rules, generated files
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12
	@$(BIN)/python -m schemas.asyncapi --check

.PHONY: compose-check
compose-check: venv tools ## docker-compose.yml, the image and the shell scripts
	@$(BIN)/python -m pytest -q tests/infra/test_compose.py tests/infra/test_images.py tests/infra/test_scripts.py

.PHONY: lint-fix
lint-fix: venv ## Mend what ruff can mend
	@$(BIN)/ruff check --fix .

.PHONY: schemas
schemas: venv ## Generate the AsyncAPI document anew
	@$(BIN)/python -m schemas.asyncapi

.PHONY: clean
clean: ## Remove what was built, local data included (.venv and the cached jars stay)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
