# What the mailer in Node needs. tests/tests.mk includes this.

NODEMAILER := build/clients/node_modules/nodemailer/package.json
NODEMAILER_VERSION := 7.0.9

test-build: build/clients/mailer.mjs

# Node looks for packages beside the program.
build/clients/mailer.mjs: tests/clients/mailer.mjs $(NODEMAILER)
	cp $< $@

$(NODEMAILER):
	mkdir -p build/clients
	cd build/clients && npm install --prefix . --no-fund --no-audit nodemailer@$(NODEMAILER_VERSION)
