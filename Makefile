# make            builds everything into build/
# make demo       installs what is missing, builds, and shows the whole story
# make demo-web   serves the pages of that practice, with a link to click; LISTEN=127.0.0.1:8080
# make test       installs what the tests need, builds, and runs them all
# make soak       kills some thousand processes at work; ROUNDS=20 SEED=1 SECONDS=60
# make valgrind   looks for leaks and uninitialised reads in every SQL test; half an hour
# make fault      fails every allocation, disk access and system call of every call; half an hour
# make coverage   counts which lines and branches the tests run; five minutes
# make fuzz       feeds random inputs to everything; MINUTES=5 each
# make bench      measures how fast it is, into tests/bench/RESULTS.md; make bench-big with 1,000,000 patients
# make budgets    allows each call what it costs now
# make install    DESTDIR= prefix=/usr/local; make uninstall takes it away again
# make deb        builds Debian packages into build/packages
# make npm        builds a package for Node there
# make reference  writes the README's reference anew

# V=1 shows the commands.
Q := $(if $(V),,@)

VERSION := 0.1.0
RELEASED := 2026-11-22
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

CC ?= cc
prefix ?= /usr/local
bindir ?= $(prefix)/bin
# The command looks for portal.so here.
libdir = $(prefix)/lib/portal
includedir ?= $(prefix)/include
datadir ?= $(prefix)/share/portal
docdir ?= $(prefix)/share/doc/portal
mandir ?= $(prefix)/share/man
bashdir ?= $(prefix)/share/bash-completion/completions
zshdir ?= $(prefix)/share/zsh/site-functions
unitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
# Where the loader finds what is named without a folder: .load portal. Nowhere below /usr/local.
loaddir ?= $(if $(filter /usr,$(prefix)),/usr/lib/$(shell $(CC) -print-multiarch))

CPPFLAGS += -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_GNU_SOURCE -Iext
CFLAGS ?= -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$(CURDIR)=.
WARNINGS := -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Werror
HARDENING := -fPIC -fvisibility=hidden -fstack-protector-strong
LDLIBS := -lutf8proc -lsodium -ldl -lm

EMBEDDED := build/embedded.c
# What is compiled in; the rest of sql/ is run from its files.
SQL := $(filter-out sql/demo.sql sql/year.sql, $(wildcard sql/*.sql sql/messages/*.txt sql/reports/*.sql))
EXTENSION_SOURCES := $(sort $(wildcard ext/*.c) ext/plugins/maildir.c) $(EMBEDDED)
OBJECTS := $(EXTENSION_SOURCES:%.c=build/%.o)
STATIC_OBJECTS := $(EXTENSION_SOURCES:%.c=build/static/%.o)
HEADERS := $(wildcard ext/*.h ext/plugins/*.h)
SHELL_OBJECTS := $(patsubst %.c,build/%.o,$(wildcard shell/*.c))
PAGE_FILES := $(wildcard page/pages/*)
PAGE_SOURCES := $(sort $(wildcard page/*.c)) build/page_files.c shell/notify.c
PAGE_OBJECTS := $(PAGE_SOURCES:%.c=build/%.o)
PAGE_LDLIBS := -lsqlite3 -lmicrohttpd -lgnutls -lcjson -lpthread

.PHONY: all demo demo-web reference install uninstall deb npm clean
.DELETE_ON_ERROR:
.SECONDEXPANSION:

# Channels, and the printer, that are libraries of their own: what each is made of, besides its source, and linked with.
CHANNELS := smtp kannel twilio poster
smtp_PARTS := account.o timing.o smtp_account.o smtp_connection.o smtp_session.o probe.o
smtp_LDLIBS := -lcurl
kannel_PARTS := http.o http_probe.o multi.o account.o timing.o probe.o received.o
kannel_LDLIBS := -lcurl -lnettle
twilio_PARTS := $(kannel_PARTS)
twilio_LDLIBS := -lcurl -lcjson -lnettle
poster_PARTS := poster_paper.o
poster_LDLIBS := -lhpdf -lqrencode
CHANNEL_LIBRARIES := $(CHANNELS:%=build/portal.d/%.so)

# Written partly by the command itself: from its table, and from what the extension says of itself.
UNITS := $(patsubst shell/units/%,%,$(wildcard shell/units/portal-*))
PAGES := $(patsubst %,build/pages/%,portal.1 portal.7 portal.bash portal.zsh)

all: build/portal.so $(CHANNEL_LIBRARIES) build/libportal.a build/portal build/portal-page $(PAGES)

include tests/tests.mk

build/portal.so: $(OBJECTS)
	@echo '  LINK    $@'
	$(Q)$(CC) -shared -Wl,-z,defs,-z,relro,-z,now -o $@ $^ $(LDFLAGS) $(LDLIBS)

$(CHANNEL_LIBRARIES): build/portal.d/%.so: \
		build/ext/plugins/%.o $$(addprefix build/ext/plugins/,$$($$*_PARTS))
	@mkdir -p $(@D)
	@echo '  LINK    $@'
	$(Q)$(CC) -shared -Wl,-z,defs,-z,relro,-z,now -o $@ $^ $(LDFLAGS) $($*_LDLIBS)

# The extension for programs that link SQLite themselves: sqlite3_auto_extension(sqlite3_portal_init).
build/libportal.a: $(STATIC_OBJECTS)
	@echo '  AR      $@'
	$(Q)$(RM) $@
	$(Q)$(AR) rcs $@ $^

# The command, linked with the extension; interactively it starts the sqlite3 shell with the library.
$(SHELL_OBJECTS): CPPFLAGS += -DSQLITE_CORE
$(SHELL_OBJECTS): $(wildcard shell/*.h)

build/portal: $(SHELL_OBJECTS) build/libportal.a
	@echo '  LINK    $@'
	$(Q)$(CC) -rdynamic -Wl,-z,relro,-z,now -o $@ $^ $(LDFLAGS) -lsqlite3 $(LDLIBS)

build/pages/portal.1: HELP := --man
build/pages/portal.7: HELP := --reference
build/pages/portal.bash: HELP := --bash
build/pages/portal.zsh: HELP := --zsh

build/pages/%: shell/pages/% build/portal $(CHANNEL_LIBRARIES)
	@mkdir -p $(@D)
	@echo '  PAGE    $@'
	$(Q)build/portal help $(HELP) > $@.table
	$(Q)sed -e '/^@table@$$/{' -e 'r $@.table' -e d -e '}' -e 's/@VERSION@/$(VERSION)/' \
		-e "s/@RELEASED@/$$(LC_ALL=C date -ud $(RELEASED) '+%B %-d, %Y')/" $< > $@

# The web server, which `portal serve` becomes.
$(PAGE_OBJECTS): CPPFLAGS += -DSQLITE_CORE -Ipage
$(PAGE_OBJECTS): $(wildcard page/*.h)

build/page_files.c: ext/embed.sh $(PAGE_FILES)
	@mkdir -p $(@D)
	@echo '  EMBED   page/pages'
	$(Q)sh ext/embed.sh page_files page/pages $(PAGE_FILES) > $@

build/portal-page: $(PAGE_OBJECTS) build/libportal.a
	@echo '  LINK    $@'
	$(Q)$(CC) -rdynamic -Wl,-z,relro,-z,now -o $@ $^ $(LDFLAGS) $(PAGE_LDLIBS) $(LDLIBS)

$(EMBEDDED): ext/embed.sh $(SQL)
	@mkdir -p $(@D)
	@echo '  EMBED   sql'
	$(Q)sh ext/embed.sh embedded sql $(SQL) > $@

build/%.o: %.c $(HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

build/static/%.o: %.c $(HEADERS)
	@mkdir -p $(@D)
	@echo '  CC      $< (static)'
	$(Q)$(CC) $(CPPFLAGS) -DSQLITE_CORE $(CFLAGS) $(WARNINGS) $(HARDENING) -c -o $@ $<

# portal_version() tells version and commit: what they are compiled into follows them.
build/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(COMMIT)' | cmp -s - $@ || echo '$(VERSION) $(COMMIT)' > $@

FORCE:

build/ext/version.o build/static/ext/version.o: build/commit
build/ext/version.o build/static/ext/version.o: CPPFLAGS += -DPORTAL_VERSION='"$(VERSION)"' \
	-DPORTAL_COMMIT='"$(COMMIT)"'

demo:
	tests/packages demo
	$(MAKE) all
	shell/demo

demo-web:
	tests/packages demo
	$(MAKE) all
	shell/demo-web build/demo $(LISTEN)

# The README's reference, from what the extension says of itself.
reference: all
	sh ext/reference.sh README.md > build/README.md
	cp build/README.md README.md

# What is installed: mode, file, and where it goes.
PARTS = 755:build/portal:$(bindir)/portal \
	755:build/portal-page:$(libdir)/portal-page \
	644:build/portal.so:$(libdir)/portal.so \
	$(foreach channel,$(CHANNELS),644:build/portal.d/$(channel).so:$(libdir)/portal.d/$(channel).so) \
	644:build/libportal.a:$(libdir)/libportal.a \
	644:ext/portal.h:$(includedir)/portal.h \
	644:sql/nightly.sql:$(datadir)/nightly.sql \
	$(foreach file,$(wildcard sql/mappings/* sql/reports/*),644:$(file):$(datadir)/$(file:sql/%=%)) \
	644:README.md:$(docdir)/README.md \
	644:LICENSE:$(docdir)/LICENSE \
	644:page/proxies/nginx.conf:$(docdir)/examples/nginx.conf \
	644:page/proxies/Caddyfile:$(docdir)/examples/Caddyfile \
	644:build/pages/portal.1:$(mandir)/man1/portal.1 \
	644:build/pages/portal.7:$(mandir)/man7/portal.7 \
	644:build/pages/portal.bash:$(bashdir)/portal \
	644:build/pages/portal.zsh:$(zshdir)/_portal \
	644:shell/units/sysusers:$(sysusersdir)/portal.conf \
	$(foreach unit,$(UNITS),644:shell/units/$(unit):$(unitdir)/$(unit))

define lay_out
	@for part in $(PARTS); do IFS=:; set -- $$part; unset IFS; \
		echo "  INSTALL $(DESTDIR)$$3"; install -D -m $$1 $$2 "$(DESTDIR)$$3" || exit 1; done
	@cd "$(DESTDIR)$(unitdir)" && sed -i -e 's|/usr/bin/portal|$(bindir)/portal|' \
		-e '/^@confinement@$$/{' -e 'r $(CURDIR)/shell/units/confinement' -e d -e '}' $(UNITS)
	@sed -i 's|^\.load build/portal$$|.load $(libdir)/portal|' "$(DESTDIR)$(datadir)/nightly.sql"
	@if [ -n "$(loaddir)" ]; then mkdir -p "$(DESTDIR)$(loaddir)" && \
		ln -srf "$(DESTDIR)$(libdir)/portal.so" "$(DESTDIR)$(loaddir)/portal.so"; else \
		echo 'In sqlite3: .load $(libdir)/portal (for a plain .load portal give loaddir=, a folder that the loader searches)'; fi
endef

install: all
	$(lay_out)

PACKAGES ?= build/packages
deb: DESTDIR := $(PACKAGES)/portal
deb: prefix := /usr
deb: unitdir := /lib/systemd/system
deb: zshdir := /usr/share/zsh/vendor-completions
deb: all
	$(Q)$(RM) -r $(addprefix $(PACKAGES)/,portal libportal-dev debian *.deb)
	$(lay_out)
	$(Q)shell/package/build $(PACKAGES) $(VERSION) $(RELEASED)

# For this platform.
NPM_SQL := sql/nightly.sql $(wildcard sql/mappings/* sql/reports/*)
npm: STAGE = $(PACKAGES)/npm
npm: all
	$(Q)$(RM) -r $(STAGE) $(PACKAGES)/sqlite-portal-*.tgz
	$(Q)install -D -m 644 --strip -t $(STAGE) build/portal.so
	$(Q)install -D -m 644 --strip -t $(STAGE)/portal.d $(CHANNEL_LIBRARIES)
	$(Q)install -m 644 -t $(STAGE) LICENSE $(wildcard shell/package/npm/*)
	$(Q)$(foreach file,$(NPM_SQL),install -D -m 644 $(file) $(STAGE)/$(file) &&) true
	$(Q)sed -i 's|^\.load build/portal$$|.load node_modules/sqlite-portal/portal|' $(STAGE)/sql/nightly.sql
	$(Q)sed -i -e 's/@VERSION@/$(VERSION)/' -e "s/@CPU@/$$(node -p process.arch)/" $(STAGE)/package.json
	$(Q)cd $(PACKAGES) && npm pack --silent ./npm
	$(Q)$(RM) -r $(STAGE)

# Plugins that somebody dropped into portal.d stay; folders go that are ours alone.
uninstall:
	$(RM) $(foreach part,$(PARTS),"$(DESTDIR)$(lastword $(subst :, ,$(part)))") \
		$(if $(loaddir),"$(DESTDIR)$(loaddir)/portal.so")
	for folder in $(libdir)/portal.d $(libdir) $(datadir)/mappings $(datadir)/reports $(datadir) $(docdir)/examples $(docdir); do \
		[ ! -d "$(DESTDIR)$$folder" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$folder"; \
	done

clean:
	$(RM) -r build
