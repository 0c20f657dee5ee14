# What one does with this repository. `make test` and the rest need Rust, a C compiler and make;
# the servers of the tests come by themselves (tests/testbed).

# A reduced count of every heavy test, or the full one: ci, full.
TAILSTOCK_TEST_SIZE ?= ci
export TAILSTOCK_TEST_SIZE

.PHONY: build demo test test-full servers bench-postgres lint clean

build:
	cargo build --release --locked

# A private PostgreSQL, a small shop, and a live table: make demo SECONDS=20
demo:
	cargo build --quiet --release --locked --bin tailstock --example demo
	@target/release/examples/demo $(SECONDS)

test: servers
	cargo test --workspace --locked

test-full:
	$(MAKE) test TAILSTOCK_TEST_SIZE=full

# Fetches the servers in advance, so that no test's own time is spent on it.
servers:
	cargo run --quiet --locked -p testbed -- prepare

bench-postgres:
	cargo run --release --locked -p bench -- postgres

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null || [ "$$CI" = true ]; then \
	  command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny; \
	  cargo deny check bans licenses sources; \
	else \
	  echo "cargo deny: not installed, skipped (cargo install --locked cargo-deny)"; \
	fi

clean:
	cargo clean
