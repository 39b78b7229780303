# How the tests are built and run. The Makefile includes this and says what CC, CPPFLAGS,
# EXTENSION_SOURCES, EMBEDDED (what is generated before anything compiles) and LDLIBS are.

LEAVES := $(wildcard $(patsubst %,ext/%.c,normalize contact calendar html mail password segment template \
	token plugins/smtp_session)) shell/csv.c shell/people.c
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS := $(UNIT_SOURCES:tests/unit/%.c=build/unit/%)
ASAN_UNIT_PROGRAMS := $(UNIT_SOURCES:tests/unit/%.c=build/asan/unit/%)
ASAN_OBJECTS := $(EXTENSION_SOURCES:%.c=build/asan/%.o)
ASAN_STATIC_OBJECTS := $(EXTENSION_SOURCES:%.c=build/asan/static/%.o)
comma := ,
FAULT_SOURCES := $(wildcard tests/fault/*.c)
TEST_HEADERS := $(wildcard ext/*.h ext/plugins/*.h shell/*.h tests/unit/*.h tests/fault/*.h)

TEST_CFLAGS := -std=c11 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
SANITIZE := -O1 -fsanitize=address,undefined -fno-omit-frame-pointer
UNIT_LIBRARIES := -lutf8proc -lsodium

ASAN_CHANNELS := $(CHANNELS:%=build/asan/portal.d/%.so)

# One source, compiled to a channel that works and to several that do not.
PLUGINS := $(patsubst %,build/tests/portal.d/%.so,spool newer empty failing misnamed mailonly textonly webhook)

# Half a minute, once; only root can make one.
CLEAN_ROOT := $(if $(filter 0,$(shell id -u)),build/tests/debian-12.tar)

.PHONY: test test-packages test-build lint valgrind coverage fault soak

# A make of its own builds, because no compiler must start before the packages are there.
test: test-packages
	$(MAKE) -j$$(nproc) test-build
	tests/run

test-packages:
	tests/packages test

test-build: all build/tests/clock_vfs.so build/tests/clock_preload.so build/tests/channel_faults.so build/tests/compiler-flags build/asan/portal.so build/asan/portal build/asan/portal-page \
	$(ASAN_CHANNELS) $(PLUGINS) \
	$(UNIT_PROGRAMS) $(ASAN_UNIT_PROGRAMS) build/fault/test_fault build/asan/fault/test_fault \
	fuzz-replays build/tsan/threads build/tsan/portal $(CLEAN_ROOT)

lint: all build/tests/compiler-flags
	tests/run --variant static

# All of the SQL tests, of which make test has the first of every third file: most of an hour.
valgrind: test-packages test-build
	tests/run --variant valgrind --every

# Some thousand processes killed, and eight that meet for a minute; ROUNDS=, SEED= and SECONDS= can be given.
soak: test-packages
	$(MAKE) -j$$(nproc) test-build
	ROUNDS=$(ROUNDS) SEED=$(SEED) SECONDS=$(SECONDS) tests/soak

# Lines and branches that the tests run; each branch of ext/ that nothing takes has its reason written down.
coverage: test-packages
	tests/coverage/run

build/tests/clock_vfs.so build/tests/channel_faults.so: build/tests/%.so: tests/%.c
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -O2 -fPIC -shared -o $@ $<

# The same clock for programs that load no extension.
build/tests/clock_preload.so: tests/clock_vfs.c
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) -O2 -fPIC -shared -o $@ $< -lsqlite3

build/tests/debian-12.tar: tests/clean-root
	@mkdir -p $(@D)
	@echo '  FETCH   $@'
	$(Q)tests/clean-root $@

# The one header is all that a plugin may need: it is copied out, so that no other is found.
build/tests/include/portal.h: ext/portal.h
	@mkdir -p $(@D)
	cp $< $@

build/tests/portal.d/newer.so: PLUGIN_FLAGS := -DPLUGIN_NEEDS=99
build/tests/portal.d/empty.so: PLUGIN_FLAGS := -DPLUGIN_EMPTY
build/tests/portal.d/failing.so: PLUGIN_FLAGS := -DPLUGIN_FAILS=1
build/tests/portal.d/misnamed.so: PLUGIN_FLAGS := -DPLUGIN_NAME='"another"'
build/tests/portal.d/mailonly.so: PLUGIN_FLAGS := -DPLUGIN_SERVES=PORTAL_EMAIL -DPLUGIN_NAME='"mailonly"'
build/tests/portal.d/textonly.so: PLUGIN_FLAGS := -DPLUGIN_SERVES=PORTAL_TEXT -DPLUGIN_NAME='"textonly"'

build/tests/portal.d/%.so: tests/plugin_example.c build/tests/include/portal.h
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Ibuild/tests/include $(PLUGIN_FLAGS) $(TEST_CFLAGS) -O2 -fPIC -shared -o $@ $<

build/tests/portal.d/webhook.so: tests/plugins/webhook.c build/tests/include/portal.h
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Ibuild/tests/include $(TEST_CFLAGS) -O2 -fPIC -shared -o $@ $< -lcurl

# What the static checks have to know to read the sources as the compiler does.
build/tests/compiler-flags: Makefile tests/tests.mk
	@mkdir -p $(@D)
	echo '$(CPPFLAGS) $(filter-out -Werror,$(WARNINGS))' > $@

build/asan/portal.so: $(ASAN_OBJECTS)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE) -shared -o $@ $^ $(LDLIBS)

ASAN_SHELL_OBJECTS := $(SHELL_OBJECTS:build/%=build/asan/static/%)
$(ASAN_SHELL_OBJECTS): $(wildcard shell/*.h)

build/asan/portal: $(ASAN_SHELL_OBJECTS) $(ASAN_STATIC_OBJECTS)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE) -rdynamic -o $@ $^ -lsqlite3 $(LDLIBS)

ASAN_PAGE_OBJECTS := $(PAGE_SOURCES:%.c=build/asan/static/%.o)
$(ASAN_PAGE_OBJECTS): CPPFLAGS += -Ipage
$(ASAN_PAGE_OBJECTS): $(wildcard page/*.h)

build/asan/portal-page: $(ASAN_PAGE_OBJECTS) $(ASAN_STATIC_OBJECTS)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE) -rdynamic -o $@ $^ $(PAGE_LDLIBS) $(LDLIBS)

$(ASAN_CHANNELS): build/asan/portal.d/%.so: build/asan/ext/plugins/%.o \
		$$(addprefix build/asan/ext/plugins/,$$($$*_PARTS))
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE) -shared -o $@ $^ $($*_LDLIBS)

build/asan/%.o: %.c $(TEST_HEADERS) $(EMBEDDED)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE) -fPIC -fvisibility=hidden -c -o $@ $<

build/asan/static/%.o: %.c $(TEST_HEADERS) $(EMBEDDED)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) $(SANITIZE) -c -o $@ $<

# These link the whole extension and SQLite, as a program of its own would.
WHOLE := test_static test_delivery

$(WHOLE:%=build/unit/%): build/unit/%: tests/unit/%.c build/libportal.a $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) -O1 -o $@ $< build/libportal.a \
		-lsqlite3 $(LDLIBS)

$(WHOLE:%=build/asan/unit/%): build/asan/unit/%: tests/unit/%.c $(ASAN_STATIC_OBJECTS) $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) $(SANITIZE) -o $@ $< \
		$(ASAN_STATIC_OBJECTS) -lsqlite3 $(LDLIBS)

# What of the pages does without the web server.
PAGE_LEAVES := client guard view

build/unit/test_page: tests/unit/test_page.c $(PAGE_LEAVES:%=build/page/%.o) build/build/page_files.o $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) $(TEST_CFLAGS) -O1 -o $@ $< $(PAGE_LEAVES:%=build/page/%.o) build/build/page_files.o $(PAGE_LDLIBS) $(LDLIBS)

build/asan/unit/test_page: tests/unit/test_page.c $(PAGE_LEAVES:%=build/asan/static/page/%.o) build/asan/static/build/page_files.o $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE) -o $@ $< $(PAGE_LEAVES:%=build/asan/static/page/%.o) \
		build/asan/static/build/page_files.o $(PAGE_LDLIBS) $(LDLIBS)

# What these files put in the place of: see tests/fault/inject.c and system.c.
FAULT_WRAPS := $(patsubst %,-Wl$(comma)--wrap=%,crypto_pwhash_str crypto_pwhash_str_verify \
	open read write fsync close rename unlink mkdir stat fstat access mkstemp linkat open_memstream fclose \
	clock_gettime sqlite3_randomness)

build/fault/test_fault: $(FAULT_SOURCES) build/libportal.a $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) -O1 $(FAULT_WRAPS) -o $@ $(FAULT_SOURCES) \
		build/libportal.a -lsqlite3 $(LDLIBS)

# A plugin that can not be loaded, beside the programs whose portal.d it is.
build/fault/test_fault build/asan/fault/test_fault: | broken-plugin
.PHONY: broken-plugin
broken-plugin:
	@mkdir -p build/fault/portal.d build/asan/fault/portal.d
	@touch build/fault/portal.d/broken.so build/asan/fault/portal.d/broken.so

build/asan/fault/test_fault: $(FAULT_SOURCES) $(ASAN_STATIC_OBJECTS) $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) $(SANITIZE) $(FAULT_WRAPS) -o $@ \
		$(FAULT_SOURCES) $(ASAN_STATIC_OBJECTS) -lsqlite3 $(LDLIBS)

# Every fault of every call, where the tests take some.
fault: build/fault/test_fault
	cd build/fault && ./test_fault --all

build/unit/test_%: tests/unit/test_%.c $(LEAVES) $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) $(TEST_CFLAGS) -O1 -o $@ $< $(LEAVES) $(UNIT_LIBRARIES)

build/asan/unit/test_%: tests/unit/test_%.c $(LEAVES) $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -Iext $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE) -o $@ $< $(LEAVES) $(UNIT_LIBRARIES)
include tests/threads/threads.mk
include tests/bench/bench.mk
include tests/clients/clients.mk
include tests/fuzz/fuzz.mk
