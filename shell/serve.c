/* portal serve: becomes portal-page, a program of its own so that nothing else maps a web server and TLS. */
#include "command.h"

#include "installation.h"
#include "tell.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const char *value_or(const struct invocation *invocation, const char *name, const char *otherwise)
{
    const char *value = command_value(invocation, name);

    return value == NULL ? otherwise : value;
}

int serve_run(struct invocation *invocation)
{
    char program[PATH_MAX];
    const char *certificate = value_or(invocation, "certificate", "");
    const char *const arguments[] = {
        "portal-page", invocation->practice.path, value_or(invocation, "listen", "127.0.0.1:8080"),
        value_or(invocation, "proxies", ""), certificate, value_or(invocation, "key", certificate),
        value_or(invocation, "posts", "60"), value_or(invocation, "patience", "30"), NULL,
    };

    if (!installation_find("portal-page", program, sizeof program)) {
        return tell(EXIT_REFUSED, "portal-page is neither beside this program nor in ../lib/portal from there; install it again");
    }
    practice_close(&invocation->practice);
    (void)execv(program, (char *const *)(const void *)arguments);
    return tell(EXIT_REFUSED, "%s: %s", program, strerror(errno));
}
