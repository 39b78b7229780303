/*
** Entry point of the extension: opens what it keeps for a connection and registers everything.
** Loading writes nothing to the database.
*/
#include "portal.h"

SQLITE_EXTENSION_INIT1

#include "call.h"
#include "installation.h"
#include "table.h"

#include <sodium.h>

#if defined(__GNUC__)
#define EXPORTED __attribute__((visibility("default")))
#else
#define EXPORTED
#endif

/* SELECT portal_api(?1) with a pointer bound to it hands out the plugin API, as fts5() does. */
static void api_give(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    portal_api **out = sqlite3_value_pointer(argv[0], "portal_api");
    struct portal *portal = sqlite3_user_data(context);

    (void)argc;
    if (out != NULL) *out = &portal->api;
}

/* The API last: it tells that all is there, and what failed halfway can be loaded again. */
static int register_all(struct portal *portal)
{
    int code = table_register(portal);

    if (code == SQLITE_OK) code = call_register(portal);
    if (code != SQLITE_OK) return code;
    portal->references++;
    return sqlite3_create_function_v2(portal->db, "portal_api", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                      portal, api_give, NULL, NULL, connection_release);
}

/* SQLITE_OK and whether it is, or SQLITE_NOMEM. */
static int find_loaded(sqlite3 *db, bool *loaded)
{
    int code = SQLITE_OK;

    *loaded = portal_api_from_db(db) != NULL;
    if (!*loaded && sqlite3_errcode(db) == SQLITE_NOMEM) code = SQLITE_NOMEM;
    /* Where there is no such function, the connection must not go on with that error. */
    (void)sqlite3_exec(db, "SELECT 1", NULL, NULL, NULL);
    return code;
}

EXPORTED int sqlite3_portal_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

/* For sqlite3_auto_extension(), which takes any code but SQLITE_OK for a failure. */
static int init_automatically(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    int code = sqlite3_portal_init(db, error, routines);

    return code == SQLITE_OK_LOAD_PERMANENTLY ? SQLITE_OK : code;
}

int connection_load_everywhere(void)
{
    return sqlite3_auto_extension((void (*)(void))init_automatically);
}

int sqlite3_portal_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    struct portal *portal;
    bool loaded;
    int code;

    SQLITE_EXTENSION_INIT2(routines);
    if (sqlite3_libversion_number() < 3040000) {
        *error =
            sqlite3_mprintf("portal needs SQLite 3.40 or later, this is %s", sqlite3_libversion());
        return SQLITE_ERROR;
    }
    installation_begin();
    if (sodium_init() < 0) {
        *error = sqlite3_mprintf("portal: libsodium did not start");
        return SQLITE_ERROR;
    }
    /* Loading again must not give back rights that portal_as() took. */
    code = find_loaded(db, &loaded);
    if (code != SQLITE_OK || loaded) return code;
    portal = connection_open(db);
    if (portal == NULL) return SQLITE_NOMEM;
    portal->routines = routines;
    code = register_all(portal);
    connection_release(portal);
    if (code != SQLITE_OK) {
        *error = sqlite3_mprintf("portal could not register: %s", sqlite3_errstr(code));
        return code;
    }
#ifdef SQLITE_CORE
    /* A program may hand this very function to sqlite3_auto_extension(). */
    return SQLITE_OK;
#else
    /* A plugin may bring libraries that must not be unmapped: see portal.h. */
    return SQLITE_OK_LOAD_PERMANENTLY;
#endif
}
