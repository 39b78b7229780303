# How the benchmarks are built and run. tests/tests.mk includes this.

BENCH_SOURCES := $(wildcard tests/bench/*.c)

.PHONY: bench-build

bench-build: build/portal.so build/bench/bench

# Its seeds derive tokens as the extension does, which is all it takes from the archive.
build/bench/bench: $(BENCH_SOURCES) tests/bench/bench.h build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -O2 -o $@ $(BENCH_SOURCES) build/libportal.a -lsqlite3 $(LDLIBS)
