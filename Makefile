# Treering. `make` lists the targets.
#
# A machine needs Linux, Python >= 3.11, make and a package registry. The environment .venv is made from the lock file
# requirements/dev.txt, and made again when that file changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/dev.txt
ARGS ?=

export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1
# Each test of the whole application starts dozens of processes: what one of them has compiled, the others only read.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-containers faults lint format bench bench-quick lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## Make the environment .venv from the lock file

# uv installs the locked packages in seconds; where it cannot (a registry that only pip is set up for), pip does it.
$(STAMP): $(LOCK) $(wildcard native/*.* native/*/*.*)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Treering needs Python 3.11 or later, {sys.executable} is {sys.version.split()[0]}. Name another one: make PYTHON=python3.12 …")'
	@echo "Installing the locked packages into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -nE 's/^(uv==[^ ]+).*/\1/p' $(LOCK))"
	@UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}"; \
	 [ -n "$$UV_DEFAULT_INDEX" ] && export UV_DEFAULT_INDEX || unset UV_DEFAULT_INDEX; \
	 $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes $(LOCK) || { \
	   echo "uv could not install them; trying pip …"; \
	   $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $(LOCK); } && \
	 echo "Compiling native/ …" && { \
	 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall ./native || \
	   $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall ./native; }
	@printf '#!/bin/sh\nexec "%s/python" "%s/cli" "$$@"\n' "$(CURDIR)/$(BIN)" "$(CURDIR)" > $(BIN)/treering
	@chmod +x $(BIN)/treering
	@touch $@

run: $(STAMP) ## Run the weekly run on real data, in the local cloud  (ARGS="--weeks 4 …" for the command's options)
	@$(BIN)/treering run $(ARGS)

# Most tests wait for programs, so three processes share them, file by file, even on two processors.
test: $(STAMP) lint ## Run every check and test  (ARGS="-n 0 …" for pytest's options)
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(STAMP) ## Run the unit and contract tests only
	@$(BIN)/python -m pytest tests/unit tests/contract $(ARGS)

test-containers: $(STAMP) ## Build the images and run them in real containers  (gets Podman with apt-get where it may)
	@$(BIN)/python -m tests.containers $(ARGS)

faults: $(STAMP) ## Make everything go wrong that may, and print what came of it  (ARGS="-k NAME --list --json FILE …")
	@$(BIN)/python -m tests.faults $(ARGS)

lint: $(STAMP) ## Check style, types, template, state machine and workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy & types=$$!; \
	 $(BIN)/cfn-lint template.yaml && $(BIN)/sam validate --lint && \
	 $(BIN)/zizmor --offline --quiet --strict-collection .github/workflows; \
	 others=$$?; wait $$types && exit $$others

format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(STAMP) ## Measure everything next to others, into one table  (ARGS="serving --rounds 3 …"; peers are installed on first use)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-quick: $(STAMP) ## The same with fewer rounds and rows, under five minutes
	@$(BIN)/python -m tests.benchmarks --quick $(ARGS)

# The functions' and the jobs' own requirements get the versions of the lock file, so that what is tested is what ships.
lock: $(STAMP) ## Compile the lock files anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" requirements/dev.in -o $(LOCK)
	@for folder in functions/*/ sagemaker_jobs; do folder=$${folder%/}; [ -e $$folder/requirements.in ] || continue; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" --constraint $(LOCK) --no-strip-extras $$folder/requirements.in -o $$folder/requirements.txt || exit 1; \
	done

clean: ## Remove the environment, caches and the local cloud's state
	@[ ! -x $(BIN)/treering ] || $(BIN)/treering down || true
	@[ ! -d .treering/containers ] || $(PYTHON) -m local_cloud.containers .treering/containers
	rm -rf $(VENV) .treering .mypy_cache .ruff_cache .pytest_cache .hypothesis .aws-sam
