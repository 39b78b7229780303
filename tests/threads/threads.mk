# Threads in one process under ThreadSanitizer: they load the extension and a plugin at run time, as an
# application would.
TSAN_OBJECTS := $(EXTENSION_SOURCES:%.c=build/tsan/%.o)
SANITIZE_THREADS := -O1 -fsanitize=thread

build/tsan/threads: tests/threads/threads.c tests/unit/unit.h build/tsan/portal.so build/tsan/portal.d/spool.so
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE_THREADS) -o $@ $< -lsqlite3

build/tsan/portal.so: $(TSAN_OBJECTS)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE_THREADS) -shared -o $@ $^ $(LDLIBS)

build/tsan/portal.d/spool.so: tests/plugin_example.c ext/portal.h
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE_THREADS) -fPIC -shared -o $@ $<

build/tsan/%.o: %.c $(TEST_HEADERS) $(EMBEDDED)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) $(TEST_CFLAGS) $(SANITIZE_THREADS) -fPIC -fvisibility=hidden -c -o $@ $<

# The web server, beside a copy of the command that becomes it.
TSAN_PAGE_OBJECTS := $(patsubst %.c,build/tsan/static/%.o,$(PAGE_SOURCES) $(EXTENSION_SOURCES))
$(TSAN_PAGE_OBJECTS): CPPFLAGS += -Ipage
$(TSAN_PAGE_OBJECTS): $(wildcard page/*.h)

build/tsan/portal: build/portal build/tsan/portal-page
	@cp $< $@

build/tsan/portal-page: $(TSAN_PAGE_OBJECTS)
	@echo '  CC      $@'
	$(Q)$(CC) $(SANITIZE_THREADS) -o $@ $^ $(PAGE_LDLIBS) $(LDLIBS)

build/tsan/static/%.o: %.c $(TEST_HEADERS) $(EMBEDDED)
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(TEST_CFLAGS) $(SANITIZE_THREADS) -c -o $@ $<
