# What one does with this repository. `make test` and the rest need Rust, a C compiler and make;
# what else a build needs is installed as root, or named. The servers of the tests come by
# themselves (tests/testbed); Kafka's wants Java 17 and Maven.

# A reduced count of every heavy test, or the full one: ci, full.
TAILSTOCK_TEST_SIZE ?= ci
export TAILSTOCK_TEST_SIZE

.PHONY: build prerequisites demo test test-full servers fuzz bench-postgres bench-mysql \
	bench-snapshot lint clean

build: prerequisites
	cargo build --release --locked

# librdkafka is compiled against the OpenSSL and the zlib of the machine.
NEEDED := g++ pkg-config libssl-dev zlib1g-dev
prerequisites:
	@if [ "$$(uname)" != Linux ] || { command -v c++ && pkg-config --exists openssl zlib; } \
	  >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  echo "installing $(NEEDED) ..."; \
	  apt-get -qq update && apt-get -qq -y --no-install-recommends install $(NEEDED) >/dev/null; \
	else \
	  echo "librdkafka needs a C++ compiler, pkg-config and the headers of OpenSSL and zlib:" \
	    "apt-get install $(NEEDED)" >&2; exit 1; \
	fi

# A small shop on a private PostgreSQL, one on a private MariaDB, and a live table of both:
# make demo SECONDS=20. With KAFKA=1 the table is read back from a private Kafka.
demo: prerequisites
	cargo build --quiet --release --locked --bin tailstock --example demo
	@"$${CARGO_TARGET_DIR:-target}/release/examples/demo" $(SECONDS) $(if $(filter-out 0,$(KAFKA)),--kafka)

test: servers
	cargo test --workspace --locked

test-full:
	$(MAKE) test TAILSTOCK_TEST_SIZE=full

# Fetches the servers in advance, so that no test's own time is spent on it.
servers: prerequisites
	cargo run --quiet --locked -p testbed -- prepare

# Every parser of foreign bytes, FUZZ_SECONDS each. The sanitizer needs compiler flags that the
# stable toolchain keeps behind RUSTC_BOOTSTRAP.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := pgoutput frame binlog expression gtid_set statement \
  rows table_map jsonb decimal temporal payload
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
	@set -e; for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz $$target \
	    fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1; \
	done

bench-postgres: prerequisites
	cargo build --quiet --release --locked --bin tailstock
	cargo run --quiet --release --locked -p bench -- postgres $(BENCH_ARGUMENTS)

bench-mysql: prerequisites
	cargo build --quiet --release --locked --bin tailstock
	cargo run --quiet --release --locked -p bench -- mysql $(BENCH_ARGUMENTS)

bench-snapshot: prerequisites
	cargo build --quiet --release --locked --bin tailstock
	cargo run --quiet --release --locked -p bench -- snapshot $(BENCH_ARGUMENTS)

lint: prerequisites
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
