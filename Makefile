# Thin: every line can be run by hand.
.PHONY: help demo test setup build lint bench parity fmt

help:            ## this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: setup      ## from nothing to a trained encoder, its accuracy and its curve
	cargo build --workspace --bins
	scripts/demo

test: setup      ## every test, with a real Postgres and real processes
	cargo build --workspace --bins
	cargo test --workspace

setup:           ## install what this machine lacks (protoc, Postgres, libtorch)
	scripts/setup

build: setup     ## the binaries, optimised, in target/release
	cargo build --release --workspace --bins

lint: setup      ## rustfmt, clippy with warnings denied, licences and advisories of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	scripts/deny

bench: setup     ## side by side with PyTorch and torchvision, as ratios
	bench/setup
	cargo build --release --workspace --bins
	target/release/tandem-bench all

parity: setup    ## the same results as PyTorch, torchvision, Foolbox and Torchattacks, as one table
	parity/setup
	cargo build -p tandem-parity
	target/debug/tandem-parity all

fmt:
	cargo fmt --all
