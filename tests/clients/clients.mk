# What the tests bring along from npm. tests/tests.mk includes this.

NODE_PACKAGES := build/clients/node_modules/.package-lock.json
NODE_PROGRAMS := $(patsubst tests/%,build/%,$(wildcard tests/clients/*.mjs))

# Of this package one file is wanted, and not the 120 MB that it depends on.
TWILIO_API := build/clients/twilio_api_v2010.json
TWILIO_PACKAGE := twilio-cli-core-8.3.2.tgz
TWILIO_SUM := 6ae83443de5882462b5fba9eddd9080a0ba52ff9cfa579d8bac9f4cf43ee4409

# The SQLite driver, built here against this very Node: what its own script would do is fetch one.
NODE_DRIVER := build/clients/node_modules/better-sqlite3/build/Release/better_sqlite3.node

test-build: build/clients/practice $(NODE_PROGRAMS) $(NODE_PACKAGES) $(NODE_DRIVER) $(TWILIO_API)
bench-build: build/clients/pool.mjs $(NODE_PACKAGES)

build/clients/practice: tests/clients/practice.c build/libportal.a
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) $(TEST_CFLAGS) -O2 -o $@ $< build/libportal.a -lsqlite3 -lpthread $(LDLIBS)

# Node looks for packages beside the program.
build/clients/%.mjs: tests/clients/%.mjs
	@mkdir -p $(@D)
	cp $< $@

build/clients/pool.mjs: tests/bench/pool.mjs
	@mkdir -p $(@D)
	cp $< $@

# Where npm can not bring them their tests skip, which is a failure in continuous integration.
$(NODE_PACKAGES): tests/clients/package.json tests/clients/package-lock.json
	@mkdir -p build/clients
	cp $^ build/clients
	-cd build/clients && npm ci --ignore-scripts --no-fund --no-audit

# Without optimising, which would take a minute more and is not what is tested.
$(NODE_DRIVER): $(NODE_PACKAGES)
	-cd build/clients && CFLAGS=-O0 CXXFLAGS=-O0 npm_config_build_from_source=true npm_config_nodedir=/usr \
		npm rebuild --silent better-sqlite3

$(TWILIO_API):
	@mkdir -p $(@D)
	-cd $(@D) && npm pack --silent @twilio/cli-core@8.3.2 && \
		echo '$(TWILIO_SUM)  $(TWILIO_PACKAGE)' | sha256sum --check --quiet && \
		tar -xzf $(TWILIO_PACKAGE) --strip-components=4 package/src/services/twilio-api/$(@F)
