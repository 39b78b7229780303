# How the benchmarks are built and run. tests/tests.mk includes this.

BENCH_SOURCES := $(addprefix tests/bench/, bench.c floor.c ours.c seed.c)

DRIVER := build/bench/node/node_modules/better-sqlite3/build/Release/better_sqlite3.node
DRIVER_VERSION := 12.11.1

.PHONY: bench bench-big bench-prepare bench-build budgets

# Rates against a floor and against peers, into tests/bench/RESULTS.md; on a quiet machine.
bench: bench-prepare
	tests/bench/run --write

# What takes databases of 10,000,000 registrations, half an hour and 20 GB of disk under TMPDIR, added to it.
bench-big: bench-prepare
	tests/bench/run --write --big --sides ours

bench-prepare:
	tests/packages bench
	$(MAKE) bench-build $(DRIVER)

# Built here, against this very Node and its headers.
$(DRIVER):
	mkdir -p build/bench/node
	cd build/bench/node && npm_config_build_from_source=true npm_config_nodedir=/usr \
		npm install --prefix . --no-fund --no-audit better-sqlite3@$(DRIVER_VERSION)

test-build: build/bench/calls

bench-build: build/portal build/portal.so build/portal-page build/bench/bench build/bench/calls build/bench/hello

# Its seeds derive tokens as the extension does, which is all it takes from the archive.
build/bench/bench: $(BENCH_SOURCES) tests/bench/bench.h build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -O2 -o $@ $(BENCH_SOURCES) build/libportal.a -lsqlite3 $(LDLIBS)

build/bench/hello: tests/bench/hello.c
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -O2 -o $@ $< -lmicrohttpd

build/bench/calls: tests/bench/calls.c build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) -O2 -o $@ $< build/libportal.a -lsqlite3 $(LDLIBS)

# Allows each call what it costs now, and an eighth.
budgets: build/bench/calls
	tests/bench/costs.py --set
