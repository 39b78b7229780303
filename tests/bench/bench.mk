# How the benchmarks are built and run. tests/tests.mk includes this.

BENCH_SOURCES := $(addprefix tests/bench/, bench.c floor.c ours.c seed.c)

.PHONY: bench-build budgets

test-build: build/bench/calls

bench-build: build/portal.so build/bench/bench build/bench/calls

# Its seeds derive tokens as the extension does, which is all it takes from the archive.
build/bench/bench: $(BENCH_SOURCES) tests/bench/bench.h build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -O2 -o $@ $(BENCH_SOURCES) build/libportal.a -lsqlite3 $(LDLIBS)

build/bench/calls: tests/bench/calls.c build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) -O2 -o $@ $< build/libportal.a -lsqlite3 $(LDLIBS)

# Allows each call what it costs now, and an eighth.
budgets: build/bench/calls
	tests/bench/costs.py --set
