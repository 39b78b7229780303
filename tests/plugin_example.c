/*
** A channel of its own library, written against portal.h alone: appends what it is handed to the
** file named by SPOOL_FILE, and reports what SPOOL_RESULTS says, a word for each message of a batch
** (the last one for those after it):
**
**     sent, retry, undeliverable, uncertain, opted_out
**                                             reported, with SPOOL_DETAIL as the detail and
**                                             SPOOL_RETRY_AFTER as the seconds to wait
**     silent                                  not reported at all
**     twice                                   reported sent, then retry
**     stray                                   reported for a message that is not in the batch
**     broken                                  deliver() stops, says SPOOL_EXPLAIN and returns an error
**
** SPOOL_GATE names a FIFO: before it reports a message it waits until somebody has opened that for
** writing and closed it again, as slow as a test wants it.  SPOOL_PROBLEM is what problem() says.  Compiled with one of these, it is another plugin:
** PLUGIN_NEEDS (a version of the API), PLUGIN_EMPTY (no entry point), PLUGIN_FAILS (does not start),
** PLUGIN_NAME (of its channel), PLUGIN_SERVES (what it carries).
*/
#include "portal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLUGIN_NEEDS
#define PLUGIN_NEEDS PORTAL_API_VERSION
#endif
#ifndef PLUGIN_SERVES
#define PLUGIN_SERVES (PORTAL_EMAIL | PORTAL_TEXT)
#endif
#ifndef PLUGIN_FAILS
#define PLUGIN_FAILS 0
#endif
#ifndef PLUGIN_NAME
#define PLUGIN_NAME "spool"
#endif

#ifdef PLUGIN_EMPTY
int plugin_without_entry_point(void);
int plugin_without_entry_point(void)
{
    return 0;
}
#else

SQLITE_EXTENSION_INIT1

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value == NULL ? otherwise : value;
}

/* The word for a message of a batch. */
static void word_of(int index, char out[32])
{
    const char *at = environment("SPOOL_RESULTS", "sent");

    while (index-- > 0 && strchr(at, ' ') != NULL) at = strchr(at, ' ') + 1;
    (void)snprintf(out, 32, "%.*s", (int)strcspn(at, " "), at);
}

static void wait_at_gate(void)
{
    const char *path = getenv("SPOOL_GATE");
    FILE *gate = path == NULL ? NULL : fopen(path, "r");

    if (gate == NULL) return;
    (void)fgetc(gate);
    (void)fclose(gate);
}

static int report(portal_batch *batch, int index, const portal_outgoing *message)
{
    static const char *const results[] = {"sent", "retry", "undeliverable", "uncertain", "opted_out"};
    const portal_outgoing stray = *message;
    portal_report said = {PORTAL_SENT, getenv("SPOOL_DETAIL"), atoi(environment("SPOOL_RETRY_AFTER", "0"))};
    char word[32];

    word_of(index, word);
    for (int i = 0; i < 5; i++) {
        said.result = (portal_result)i;
        if (strcmp(word, results[i]) == 0) return batch->report(batch, message, &said);
    }
    said.result = PORTAL_SENT;
    if (strcmp(word, "twice") == 0) {
        (void)batch->report(batch, message, &said);
        said.result = PORTAL_RETRY;
        return batch->report(batch, message, &said) == SQLITE_MISUSE ? SQLITE_OK : SQLITE_ERROR;
    }
    if (strcmp(word, "stray") == 0) {
        const portal_report wrong[] = {{(portal_result)9, NULL, 0}, {(portal_result)-1, NULL, 0},
                                       {PORTAL_RETRY, NULL, -1}};
        int code = batch->report(batch, &stray, &said);
        for (int i = 0; i < 3 && code == SQLITE_MISUSE; i++) code = batch->report(batch, message, &wrong[i]);
        return code == SQLITE_MISUSE ? SQLITE_OK : SQLITE_ERROR;
    }
    if (strcmp(word, "broken") != 0) return SQLITE_OK;
    if (getenv("SPOOL_EXPLAIN") != NULL) batch->explain(batch, getenv("SPOOL_EXPLAIN"));
    return SQLITE_IOERR;
}

static const portal_option options[] = {
    {"spool_greeting", PORTAL_OPTION_LINE, "hello", 2, 20, "What the spool says."},
    {"spool_url", PORTAL_OPTION_URL, "", 0, 100, "Where the spool is."},
    {"spool_limit", PORTAL_OPTION_NUMBER, "10", 1, 50, "What the spool takes."},
    {"spool_password", PORTAL_OPTION_SECRET, NULL, 1, 100, "What opens the spool."},
    {NULL, PORTAL_OPTION_LINE, NULL, 0, 0, NULL},
};

static void options_write(portal_api *api, FILE *file)
{
    (void)fprintf(file, "options");
    for (const portal_option *option = options; option->key != NULL; option++) {
        char *value = option->kind == PORTAL_OPTION_SECRET ? api->secret(api, option->key)
                                                           : api->setting(api, option->key);
        (void)fprintf(file, "|%s", value == NULL ? "none" : value);
        sqlite3_free(value);
    }
    (void)fprintf(file, "\n");
}

static int spool_deliver(void *data, portal_batch *batch)
{
    portal_api *api = data;
    char *practice = api->setting(api, "practice_name");
    FILE *file = fopen(environment("SPOOL_FILE", "spool"), "a");
    const portal_outgoing *message;
    int code = file == NULL ? SQLITE_CANTOPEN : SQLITE_OK;

    if (file != NULL) (void)fprintf(file, "batch for %s\n", practice);
    if (file != NULL) options_write(api, file);
    for (int i = 0; code == SQLITE_OK && (message = batch->next(batch)) != NULL; i++) {
        size_t size = 0;
        char *mail = api->mail(api, message, "\r\n", &size);
        (void)fprintf(file, "%s|%d|%s|%s|%d|%d|%zu|%s\n", message->kind, message->serves, message->recipient,
                message->message_id_header, message->attempt, message->html != NULL,
                mail == NULL ? 0 : size, strstr(message->text, "http"));
        sqlite3_free(mail);
        wait_at_gate();
        code = report(batch, i, message);
        if (code == SQLITE_OK) code = batch->settle(batch);
    }
    if (file != NULL && fclose(file) != 0) code = SQLITE_IOERR;
    sqlite3_free(practice);
    return code;
}

static char *spool_problem(void *data)
{
    const char *problem = getenv("SPOOL_PROBLEM");

    (void)data;
    return problem == NULL ? NULL : sqlite3_mprintf("%s", problem);
}

/* Tells that it was called, once for each connection that closes. */
static void spool_destroy(void *data)
{
    FILE *file = fopen(environment("SPOOL_FILE", "spool"), "a");

    (void)data;
    if (file == NULL) return;
    (void)fputs("destroyed\n", file);
    (void)fclose(file);
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    static const portal_channel spool = {
        PORTAL_API_VERSION, PLUGIN_NAME, PLUGIN_SERVES, "0.9", spool_deliver, spool_problem, options, NULL, NULL,
    };
    portal_api *api;

    SQLITE_EXTENSION_INIT2(routines);
    api = portal_api_from_db(db);
    if (api == NULL || api->version < PLUGIN_NEEDS) {
        *error = sqlite3_mprintf("needs version %d of the plugin API", PLUGIN_NEEDS);
        return SQLITE_ERROR;
    }
    if (PLUGIN_FAILS) return SQLITE_ERROR;
    return api->register_channel(api, &spool, api, spool_destroy);
}
#endif
