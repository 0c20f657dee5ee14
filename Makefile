# What one does with this repository. `make test` and the rest need Rust, a C compiler and make;
# the servers of the tests come by themselves (tests/testbed).

# A reduced count of every heavy test, or the full one: ci, full.
TAILSTOCK_TEST_SIZE ?= ci
export TAILSTOCK_TEST_SIZE

.PHONY: build demo test test-full servers fuzz bench-postgres lint clean

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

# Every parser of foreign bytes, FUZZ_SECONDS each. The sanitizer needs compiler flags that the
# stable toolchain keeps behind RUSTC_BOOTSTRAP.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := pgoutput frame expression
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
	@set -e; for target in $(FUZZ_TARGETS); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz $$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1; \
	done

bench-postgres:
	cargo build --quiet --release --locked --bin tailstock
	cargo run --quiet --release --locked -p bench -- postgres $(BENCH_ARGUMENTS)

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
