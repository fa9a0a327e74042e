# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists the rest.
# `check` only reads, `fix` writes. Every target that builds needs RocksDB, which `setup` builds once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test check fix bench bench-growth bench-bursts bench-peers coverage docker-demo chaos chaos-smoke campaigns power-cuts leader-kills sim mutants \
  rolling-restarts rolling-upgrade limits fail-points chaos-mutants fuzz

# The simulation is a workspace of its own: its build of our crates has a network that no other program may get.
SIMULATION := tests/simulation
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PYTHON ?= python3
NODES ?= 3

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## build RocksDB once (cached), install libclang and g++ where they are missing
	@tools/rocksdb.sh

demo: setup ## three nodes, a real workflow, the leader killed: shown and measured
	@$(PYTHON) tools/demo.py

dev: setup ## a cluster of NODES=3 on this machine, in the foreground
	cargo build --release -p orc-node --bin orc
	exec $(TARGET_DIR)/release/orc dev --nodes $(NODES)

test: setup ## every ring of tests
	cargo build --workspace --bin orc
	@if cargo nextest --version >/dev/null 2>&1; then \
	  set -x; cargo nextest run --workspace; \
	else \
	  set -x; cargo test --workspace --exclude orc-tests --lib --bins --tests; \
	  cargo test -p orc-tests -- --test-threads=1; \
	fi
	cargo test -p orc-client --doc
	@echo "make test: every test passed"

check: setup ## what CI runs: format, lints, docs, tests
	cargo fmt --all --check
	cargo fmt --manifest-path $(SIMULATION)/Cargo.toml --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --manifest-path $(SIMULATION)/Cargo.toml --target-dir $(TARGET_DIR) --features mutants -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir $(TARGET_DIR) --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@$(MAKE) --no-print-directory test
	@echo "make check: format, lints, docs and tests are in order"

fix: setup ## format and apply the lints' suggestions
	cargo fmt --all
	cargo fmt --manifest-path $(SIMULATION)/Cargo.toml
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all

bench: setup ## throughput and latency of every work and of the parts, as a dated report; ARGS="--rounds 1 --skip-parts"
	@$(PYTHON) tools/bench.py $(ARGS)

bench-growth: setup ## the same with up to 100,000 live and 1,000,000 ended runs, some 5 minutes; ARGS="--ended 20000"
	@$(PYTHON) tools/bench_growth.py $(ARGS)

bench-bursts: setup ## a foreach over 10,000 items beside state writes, and 10,000 timers at one instant, some 2 minutes
	@$(PYTHON) tools/bench_bursts.py $(ARGS)

bench-peers: setup ## orc and its peers (Restate, etcd, NATS, BullMQ) in turn on this machine; ARGS="--only w3 --rounds 1"
	@$(PYTHON) tools/bench_peers.py $(ARGS)

coverage: setup ## line coverage of all tests, by package, some 10 minutes; fails below 90 % of domain or 80 % of everything
	@$(PYTHON) tools/coverage.py $(ARGS)

docker-demo: ## three containers, a run completed, a node killed and back (needs a Docker Engine)
	@docker/demo.sh

# Faults that CI lets happen once each, to the programs that the tests use.
SMOKE := kill-leader pause-leader power-all io-error-follower isolate-leader bridge rolling-restart membership-replace

chaos: setup ## real faults on real nodes under load, judged, some 50 minutes; root; FAULT=power-all for one, ARGS="--rounds 10 --seed 7"
	@tools/chaos_needs.sh
	cargo build --release --bin orc --bin chaos
	timeout 90m $(TARGET_DIR)/release/chaos $(FAULT) $(ARGS)

campaigns: power-cuts leader-kills rolling-restarts ## the three below, some 22 minutes

power-cuts: setup ## ROUNDS=100 power cuts of all nodes under load, states compared after each, some 8 minutes; root
	@tools/chaos_needs.sh
	cargo build --release --bin orc --bin chaos
	timeout 30m $(TARGET_DIR)/release/chaos power-all --rounds $(or $(ROUNDS),100) --calm-ms 500 --alike --no-failed-calls

leader-kills: setup ## ROUNDS=60 kills of the leader under load; fails if writes are away for too long, some 12 minutes; root
	@tools/chaos_needs.sh
	cargo build --release --bin orc --bin chaos
	timeout 20m $(TARGET_DIR)/release/chaos kill-leader --rounds $(or $(ROUNDS),60) --calm-ms 1000 --no-failed-calls \
	  --no-write-max 50=2,99=3,100=5

rolling-restarts: setup ## ROUNDS=10 times every node restarted by SIGTERM; fails if a retried call fails, some 2 minutes; root
	@tools/chaos_needs.sh
	cargo build --release --bin orc --bin chaos
	timeout 15m $(TARGET_DIR)/release/chaos rolling-restart --rounds $(or $(ROUNDS),10) --calm-ms 2000 --no-failed-calls

fail-points: setup ## nodes that end in the middle of writing, at every place that has a name, in a program built for it; root; ROUNDS=3
	@tools/chaos_needs.sh
	cargo build --bin orc --bin chaos --features orc-node/fail-points
	timeout 30m $(TARGET_DIR)/debug/chaos fail-points --rounds $(or $(ROUNDS),3)

chaos-mutants: setup ## whether faults of real nodes find mistakes made on purpose, in a program built for it, some 5 minutes; root
	@tools/chaos_needs.sh
	cargo build --bin orc --bin chaos --features orc-node/mutants
	@for planted in bug_no_fsync:power-all bug_no_fencing:pause-follower bug_idem_not_atomic:kill-leader; do \
	  PLANTED_BUG=$${planted%:*} timeout 10m $(TARGET_DIR)/debug/chaos $${planted#*:} --rounds 3 --out $(TARGET_DIR)/chaos-mutants || exit 1; \
	done

rolling-upgrade: setup ## every node restarted with the program BEFORE=path of another version, and back, under load; root; ROUNDS=3
	@tools/chaos_needs.sh
	cargo build --release --bin orc --bin chaos
	ORC_BIN_BEFORE=$(abspath $(BEFORE)) timeout 15m $(TARGET_DIR)/release/chaos rolling-upgrade --rounds $(or $(ROUNDS),3) --no-failed-calls

chaos-smoke: setup ## eight of the faults once, with the programs that the tests use, some 3 minutes
	@tools/chaos_needs.sh
	cargo build --workspace --bin orc --bin chaos
	timeout 10m $(TARGET_DIR)/debug/chaos $(SMOKE) --rounds 1

fuzz: setup ## every parser that faces outside, SECONDS=60 each, from the kept corpus on; TARGET=workflow for one
	SECONDS_EACH=$(or $(SECONDS),60) timeout 2h tools/fuzz.sh $(TARGET)

MINUTES ?= 30

limits: setup ## MINUTES=30 at every limit at once; fails above 1 GiB a node, p99 above 5 times that without, or if work is lost
	cargo build --release --bin orc --bin limits
	timeout $$(($(MINUTES) + 30))m $(TARGET_DIR)/release/limits --minutes $(MINUTES)

SEEDS ?= 64
FROM ?= 1

sim: setup ## simulated clusters under faults, judged: SEED=7 for one, SEEDS=1000 FROM=1000 for many, ARGS="--faults Power,Isolate"
	cargo build --manifest-path $(SIMULATION)/Cargo.toml --target-dir $(TARGET_DIR) --features mutants
	timeout 7200 $(TARGET_DIR)/debug/orc-simulation $(if $(SEED),--seed $(SEED) --keep,--seeds $(SEEDS) --from $(FROM)) \
	  --out $(TARGET_DIR)/simulation $(ARGS)

mutants: setup ## whether the simulation finds sixteen mistakes made on purpose, each within SEEDS=64, some 15 minutes
	cargo build --manifest-path $(SIMULATION)/Cargo.toml --target-dir $(TARGET_DIR) --features mutants
	timeout 7200 $(TARGET_DIR)/debug/orc-simulation --mutants $(SEEDS) --from $(FROM) --out $(TARGET_DIR)/simulation $(ARGS)
