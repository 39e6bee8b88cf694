# `make` lists the targets. Every target installs what it needs, says what it does and may be repeated.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run serve test test-core test-python test-web lint format bench docs types goldens methods \
        build-core build-python build-web clean

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BIN := $(VENV)/bin
WHEELS := target/wheels

export PYTHON VENV
# The Python crate finds the interpreter of the environment, whatever else is on the path.
export PYO3_PYTHON := $(abspath $(BIN)/python)

say = printf '\033[1m==>\033[0m %s\n'

help: ## List the targets
	@echo "rackrate: where to train a large model and where to serve it"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Settings: PYTHON=$(PYTHON) VENV=$(VENV) PORT=$(PORT) CHROMIUM=/path/to/chrome"

run: build-core build-python build-web ## Build everything, answer the built-in scenario, say how to open the page
	@$(say) "Answering the built-in scenario azure-trains-oci-serves"
	@$(BIN)/python -m rackrate plan azure-trains-oci-serves
	@echo
	@$(say) "The page is built in web/dist: \`make serve\` opens it at http://localhost:$(PORT)/"
	@$(say) "More questions: $(BIN)/python -m rackrate --help"

serve: build-web ## Serve the built page on this machine (PORT=8000)
	@$(say) "Open http://localhost:$(PORT)/ (Ctrl-C ends it)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory web/dist

build-core: ## Build the core
	@scripts/setup.sh rust python
	@$(say) "Building the core"
	@cargo build --release --locked --package rackrate

build-python: ## Build the Python package and install it in the environment
	@scripts/setup.sh rust python
	@$(say) "Building the Python package"
	@rm -rf $(WHEELS)
	@$(BIN)/maturin build --quiet --release --locked --interpreter $(BIN)/python --out $(WHEELS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(WHEELS)/*.whl

build-web: ## Build the wasm module and the page
	@scripts/setup.sh wasm python npm
	@$(say) "Building the wasm module and the page"
	@npm --prefix web run --silent build

test: test-core test-python test-web ## Run every test
	@$(say) "All tests passed"

test-core: ## Test the Rust crates
	@scripts/setup.sh rust python
	@$(say) "Testing the core"
	@cargo test --workspace --locked --quiet

test-python: build-python build-web ## Test the installed Python package, its types, the notebooks and the README
	@scripts/setup.sh python-dev
	@$(say) "Checking the types of the installed package"
	@cd tests && $(abspath $(BIN))/python -m mypy.stubtest rackrate --allowlist python/stubtest-allowlist.txt --mypy-config-file ../pyproject.toml
	@$(say) "Testing the installed Python package, the notebooks and the README"
	@$(BIN)/python -P -m pytest

test-web: build-web ## Test the wasm module and the page, the latter in Chromium
	@scripts/setup.sh chromium
	@$(say) "Testing the wasm module and the page"
	@CHROMIUM=$$(scripts/setup.sh find-chromium) npm --prefix web test

lint: ## Check format, lints, types and documentation, nothing to be rewritten
	@scripts/setup.sh wasm python-dev npm
	@$(say) "Rust: format"
	@cargo fmt --all --check
	@$(say) "Python: format, lints, types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(say) "Page: format, lints, types (those of the wasm module come from building it)"
	@npm --prefix web run --silent wasm
	@npm --prefix web run --silent lint
	@$(say) "Rust: lints on all targets and features"
	@cargo clippy --workspace --all-targets --all-features --locked --quiet -- --deny warnings
	@$(say) "Rust: documentation"
	@RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --all-features --no-deps --locked --quiet
	@$(say) "Generated files are current"
	@$(BIN)/python scripts/generate_types.py --check

format: ## Rewrite all sources in their format
	@scripts/setup.sh rust python-dev npm
	@cargo fmt --all
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@npm --prefix web run --silent fix

bench: build-python ## Measure the core and what a Python call adds to it
	@$(say) "Measuring the core"
	@cargo bench --package rackrate --locked
	@$(say) "Measuring Python calls"
	@$(BIN)/python scripts/bench_calls.py

docs: ## Build the documentation of the crates
	@scripts/setup.sh rust python
	@$(say) "Building the documentation of the crates"
	@RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --all-features --no-deps --locked
	@$(say) "Open target/doc/rackrate/index.html"

types: ## Write the Python types anew from the core's JSON Schema
	@scripts/setup.sh rust python
	@$(BIN)/python scripts/generate_types.py

methods: ## Write the tables of METHODS.md anew from the catalogue
	@scripts/setup.sh rust python
	@cargo run --quiet --package rackrate --example methods --locked

goldens: ## Answer the cases of tests/cases anew: read the difference, it is what will be reviewed
	@scripts/setup.sh rust python
	@cargo run --release --quiet --package rackrate --example cases --locked
	@git --no-pager diff --stat -- tests/cases

clean: ## Remove everything that was built or installed here
	@$(say) "Removing builds and installed packages of this checkout"
	@rm -rf target $(VENV) web/node_modules web/dist web/pkg wasm/pkg .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find python tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
