# Thin: every line can be run by hand.
.PHONY: help demo test setup build dist-client lint rehearse bench parity chaos fmt

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: setup      ## from nothing to a trained encoder, its accuracy and its curve
	cargo build --workspace --bins
	scripts/demo

# All targets at once: the binaries alone get other features of what they depend on than the tests do, and all is built twice.
test: setup      ## every test, with a real Postgres and real processes
	cargo build --workspace --all-targets
	cargo test --workspace

setup:           ## install what this machine lacks (Postgres, libtorch)
	scripts/setup

build: setup     ## the binaries, optimised, in target/release
	cargo build --release --workspace --bins

lint: setup      ## what a machine can say about all sources without running them: [CHECKS="rust tidy"]
	scripts/lint $(CHECKS)

rehearse: setup  ## the heavy checks, before a change is called done: [PARTS="sanitize chaos"]
	scripts/rehearse $(PARTS)

dist-client:     ## the command line alone, one file for any Linux with glibc 2.28 or newer, in target/dist
	scripts/dist-client

bench: setup     ## side by side with PyTorch and torchvision, as ratios
	bench/setup
	cargo build --release --workspace --bins
	target/release/tandem-bench all

parity: setup    ## the same results as PyTorch, torchvision, Foolbox and Torchattacks, as one table
	parity/setup
	cargo build -p tandem-parity
	target/debug/tandem-parity all

chaos: setup     ## the same bits under kill -9, full disks and cut wires: [SEED=7] [TIMING=default|fast] [BREAK=fence] [ARGS=..]
	cargo build --workspace --bins
	$(if $(BREAK),cargo build -p tandem-server --features broken-for-tests --target-dir target/broken)
	target/debug/tandem-chaos --seed $(or $(SEED),7) --timing $(or $(TIMING),default) \
		$(if $(BREAK),--break $(BREAK) --server-binary target/broken/debug/tandem-server) $(ARGS)

fmt:
	cargo fmt --all
