# Twinspire needs git, Rust, Python 3 with pip and a C++ compiler. The rest is fetched into this directory.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
RIVALS := .tools/rivals

.PHONY: help
help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: quickstart
quickstart: libtorch protoc ## Build, make a small log and train on it with two workers
	@$(CARGO) build --workspace --bins
	target/debug/coordinator generate runs/quickstart-data --users 4000 --items 2000 --events 200000
	target/debug/coordinator local manifests/quickstart.yaml

.PHONY: test
test: libtorch protoc etcd lint ## Run all checks and tests
	@# Tests start the programs, which `cargo test` alone may leave as they were.
	$(CARGO) build --workspace --bins
	mkdir -p target
	status=0
	$(CARGO) test --workspace --no-fail-fast 2>&1 | tee target/test.log || status=$$?
	awk -v status=$$status -f tools/summary.awk target/test.log
	exit $$status

.PHONY: fmt
fmt: ## Format the code
	@$(CARGO) fmt --all

# A Rust installed with the minimal profile has neither.
.PHONY: lint
lint: libtorch protoc ## Check that the code is formatted and that clippy has nothing to say
	@if $(CARGO) fmt --version > /dev/null 2>&1; then $(CARGO) fmt --all --check
	else echo "lint: formatting not checked: there is no rustfmt (rustup component add rustfmt)"; fi
	if $(CARGO) clippy --version > /dev/null 2>&1; then $(CARGO) clippy --workspace --all-targets -- -D warnings
	else echo "lint: clippy skipped: it is not there (rustup component add clippy)"; fi

.PHONY: bench
bench: libtorch protoc rivals ## Run the benchmarks, each beside its rival
	@$(CARGO) build --workspace --bins
	$(PYTHON) benches/run.py

.PHONY: soak
soak: ## Simulate faults of jobs, workers and coordinators for an hour, or for SOAK seconds
	@SOAK=$${SOAK:-3600} $(CARGO) test -p twinspire-control --test simulation -- --nocapture

.PHONY: libtorch
libtorch: ## Fetch libtorch into .libtorch, unless LIBTORCH is set
	@$(PYTHON) tools/libtorch.py

.PHONY: protoc
protoc: ## Fetch protoc, which etcd's client is built with, into .tools/protoc, unless PROTOC is set
	@$(PYTHON) tools/protoc.py

.PHONY: etcd
etcd: ## Fetch an etcd server for the tests into .tools/etcd, unless there is one in PATH
	@$(PYTHON) tools/etcd.py

.PHONY: rivals
rivals: $(RIVALS)/complete ## Install what the benchmarks compare with into .tools/rivals

# `--without-pip`, since Debian's Python has venv but not ensurepip. The copy is made last: without it the next
# run goes on with the installation.
$(RIVALS)/complete: tools/rivals.txt
	@echo "rivals: installing PyTorch, polars and pyarrow into $(RIVALS) (about 5 GB)"
	$(PYTHON) -m venv --without-pip $(RIVALS)
	$(PYTHON) -m pip --python $(RIVALS)/bin/python install --disable-pip-version-check --requirement $<
	cp $< $@
