/* portal deliver */
#include "command.h"
#include "handover.h"
#include "tell.h"
#include "watch.h"

#include <stdlib.h>

int deliver_run(struct invocation *invocation)
{
    const char *limit = command_value(invocation, "limit");

    if (command_value(invocation, "watch") == NULL) {
        return handover_run(&invocation->practice, limit == NULL ? 0 : strtoll(limit, NULL, 10), stdout, invocation->form);
    }
    if (limit != NULL) return tell(EXIT_USAGE, "--watch and --limit do not go together");
    return watch_run(&invocation->practice, invocation->general[GENERAL_AS]);
}
