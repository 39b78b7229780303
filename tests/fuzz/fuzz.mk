# Fuzzing. make fuzz runs every target for MINUTES under libFuzzer (make fuzz-mail: one of them); what
# breaks a promise is left in build/fuzz, and belongs into tests/fuzz/corpus/TARGET once it is mended.
# The tests replay that corpus with the compiler and sanitizers of the other tests.

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SHARED := $(filter-out tests/fuzz/fuzz_% tests/fuzz/replay.c, $(wildcard tests/fuzz/*.c)) \
	ext/plugins/smtp_session.c
FUZZ_REPLAYS := $(FUZZ_TARGETS:%=build/asan/fuzz/%)
FUZZ_OBJECTS := $(EXTENSION_SOURCES:%.c=build/fuzz/%.o) $(FUZZ_SHARED:%.c=build/fuzz/%.o)
FUZZ_HEADERS := $(wildcard tests/fuzz/*.h)

# Argon2id would take all the time, and a Maildir would be written: see tests/fuzz/argon2.c, carrier.c.
FUZZ_LINK := -Wl,--wrap=crypto_pwhash_str,--wrap=crypto_pwhash_str_verify \
	-Wl,--wrap=crypto_pwhash_str_needs_rehash,--wrap=maildir_register -lsqlite3 $(LDLIBS)
FUZZ_SANITIZE := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

MINUTES ?= 5

.PHONY: fuzz fuzz-packages fuzz-replays
.SECONDARY: $(FUZZ_TARGETS:%=build/fuzz/%) $(FUZZ_OBJECTS) $(FUZZ_TARGETS:%=build/fuzz/tests/fuzz/fuzz_%.o) \
	$(patsubst %.c,build/asan/static/%.o,$(wildcard tests/fuzz/*.c))

fuzz: fuzz-packages $(FUZZ_TARGETS:%=fuzz-%)

fuzz-replays: $(FUZZ_REPLAYS)

fuzz-packages:
	tests/packages fuzz

# Twice the inputs in the same time: freed memory is kept for less long, and is not filled.
fuzz-%: build/fuzz/%
	@mkdir -p build/fuzz/new/$* tests/fuzz/corpus/$*
	cd build/fuzz && ASAN_OPTIONS=quarantine_size_mb=16:max_malloc_fill_size=0 \
		./$* -max_total_time=$$((60 * $(MINUTES))) -timeout=30 -len_control=0 -max_len=2000 \
		-print_final_stats=1 \
		$(patsubst %,-dict=../../%,$(wildcard tests/fuzz/$*.dict)) -artifact_prefix=$*- new/$* ../../tests/fuzz/corpus/$*

build/fuzz/%: build/fuzz/tests/fuzz/fuzz_%.o $(FUZZ_OBJECTS)
	@echo '  LINK    $@'
	$(Q)clang $(FUZZ_SANITIZE) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LINK)

# The channels whose answers are tried have the same entry point.
FUZZ_GATEWAYS := $(addprefix ext/plugins/,kannel.o twilio.o $(twilio_PARTS))

build/fuzz/answers: $(FUZZ_GATEWAYS:%=build/fuzz/%)
build/asan/fuzz/answers: $(FUZZ_GATEWAYS:%=build/asan/static/%)
build/fuzz/answers build/asan/fuzz/answers: FUZZ_LINK += -Wl,--wrap=http_register -lcurl -lcjson -lnettle
$(foreach channel,kannel twilio,$(eval build/fuzz/ext/plugins/$(channel).o \
	build/asan/static/ext/plugins/$(channel).o: CPPFLAGS += -Dportal_plugin_init=$(channel)_init))

# Parts of the command.
FUZZ_COMMAND := $(addprefix shell/,csv.o chart.o)
build/fuzz/import: $(FUZZ_COMMAND:%=build/fuzz/%)
build/asan/fuzz/import: $(FUZZ_COMMAND:%=build/asan/static/%)

# The web server, but for its main().
FUZZ_PAGES := $(filter-out page/page.o, $(PAGE_SOURCES:%.c=%.o))
build/fuzz/http build/fuzz/view: $(FUZZ_PAGES:%=build/fuzz/%)
build/asan/fuzz/http build/asan/fuzz/view: $(FUZZ_PAGES:%=build/asan/static/%)
build/fuzz/http build/asan/fuzz/http build/fuzz/view build/asan/fuzz/view: FUZZ_LINK += $(PAGE_LDLIBS)
$(FUZZ_PAGES:%=build/fuzz/%): CPPFLAGS += -Ipage
$(FUZZ_PAGES:%=build/fuzz/%) build/fuzz/tests/fuzz/fuzz_http.o build/fuzz/tests/fuzz/fuzz_view.o: $(wildcard page/*.h)

build/fuzz/%.o: %.c $(HEADERS) $(FUZZ_HEADERS) | fuzz-packages
	@mkdir -p $(@D)
	@echo '  CLANG   $<'
	$(Q)clang $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) $(FUZZ_SANITIZE) -c -o $@ $<

build/asan/static/tests/fuzz/%.o: $(FUZZ_HEADERS)

build/asan/fuzz/%: build/asan/static/tests/fuzz/fuzz_%.o build/asan/static/tests/fuzz/replay.o \
		$(FUZZ_SHARED:%.c=build/asan/static/%.o) $(ASAN_STATIC_OBJECTS)
	@mkdir -p $(@D)
	@echo '  LINK    $@'
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(FUZZ_LINK)
