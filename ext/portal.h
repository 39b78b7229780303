/*
** portal.h: the plugin API of the patient-portal registration extension for SQLite.
**
** A channel hands messages over to a mail server, an SMS gateway, a printer.  It is a shared library
** in the folder portal.d beside portal.so, named after the channel (portal.d/smtp.so), written
** against this header alone, and is loaded at the first use of its channel.  It exports one
** function:
**
**     SQLITE_EXTENSION_INIT1
**     int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
**     {
**         portal_api *api;
**         SQLITE_EXTENSION_INIT2(routines);
**         api = portal_api_from_db(db);
**         if (api == NULL || api->version < 1) return SQLITE_ERROR;
**         return api->register_channel(api, &my_channel, my_data, my_data_free);
**     }
**
** It returns SQLITE_OK, or an error code with *error set to a sqlite3_mprintf() text, which
** portal_channels shows.  It is called once for every connection that uses the channel; the library
** stays mapped until the process ends.
**
** The structs here only grow, at their end.  Check `version` with >=, never with ==.
*/
#ifndef PORTAL_H
#define PORTAL_H

#include <stddef.h>

/* Linked into a program (SQLITE_CORE), SQLite is called as it is; loaded, through its routines. */
#ifdef SQLITE_CORE
#include <sqlite3.h>
#define SQLITE_EXTENSION_INIT1
#define SQLITE_EXTENSION_INIT2(routines) (void)(routines)
struct sqlite3_api_routines;
typedef struct sqlite3_api_routines sqlite3_api_routines;
#else
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PORTAL_API_VERSION 1

typedef struct portal_api portal_api;
typedef struct portal_channel portal_channel;
typedef struct portal_outgoing portal_outgoing;
typedef struct portal_batch portal_batch;

/* What a channel carries, as bits. */
#define PORTAL_EMAIL 1
#define PORTAL_TEXT 2

/* What became of one message. */
typedef enum portal_result {
    PORTAL_SENT,           /* handed over: whoever took it answers for it */
    PORTAL_RETRY,          /* surely not handed over; may work later */
    PORTAL_UNDELIVERABLE,  /* surely not handed over; will not work later */
    PORTAL_UNCERTAIN       /* may have been handed over: tried once more, and the row says so */
} portal_result;

/*
** One message, rendered.  The strings are NUL-terminated UTF-8, belong to the caller and live until
** deliver() returns; they hold links and PINs: do not log them.
*/
struct portal_outgoing {
    sqlite3_int64 message_id;
    const char *kind;               /* "registration", "pin", "deactivated", ... */
    int serves;                     /* PORTAL_EMAIL or PORTAL_TEXT */
    const char *recipient;          /* addr-spec (RFC 5321, RFC 6531), or E.164 with "+" */
    const char *sender;             /* addr-spec of the practice */
    const char *sender_name;        /* the practice's name */
    const char *subject;            /* "" for a text message */
    const char *text;
    const char *html;               /* NULL for a text message */
    const char *
        message_id_header; /* with angle brackets; the same at every try: also an idempotency key */
    const char *language;           /* language tag, "en" */
    sqlite3_int64 created_at;       /* seconds UTC; the Date of a mail, the same at every try */
    int attempt;                    /* 1 for the first */
};

/*
** Messages to hand over.  report() is called once for each message, as soon as its result is known,
** from the thread that called deliver(), and makes it durable; a message without a report is
** retried after its claim's lease.  `detail` is what staff read (the server's words, say): no line
** breaks, no secrets; NULL for none; copied.  report() returns SQLITE_OK or an error code, after
** which deliver() should return it.
*/
struct portal_batch {
    int count;
    const portal_outgoing *messages;
    int (*report)(portal_batch *batch, int index, portal_result result, const char *detail);
};

/*
** A channel.  Functions get the `data` given at registration.  They are called with no lock held on
** any database and may block.
*/
struct portal_channel {
    int version;            /* PORTAL_API_VERSION the channel was written for */
    const char *name;       /* "smtp"; also its file's name; copied */
    int serves;             /* PORTAL_EMAIL | PORTAL_TEXT */
    const char *release;    /* version text of the plugin, for portal_channels; copied */

    /* Hands over a batch.  SQLITE_OK when every result was reported, else an error code. */
    int (*deliver)(void *data, portal_batch *batch);

    /*
    ** Is it configured?  NULL when it is, else what is missing, sqlite3_mprintf() text that the
    ** caller frees ("set smtp_url").  Quick, without network.  May be NULL: always ready.
    */
    char *(*problem)(void *data);
};

/* What the extension offers to a plugin.  All calls belong to the thread that uses the connection. */
struct portal_api {
    int version;

    /*
    ** Adds a channel to this connection.  `destroy` (may be NULL) is called with `data` when the
    ** connection closes, also when registering fails.  SQLITE_MISUSE for a channel without name,
    ** deliver() or a version, or with a name that is taken.
    */
    int (*register_channel)(portal_api *api, const portal_channel *channel, void *data,
                            void (*destroy)(void *));

    /*
    ** The value of a setting, a copy to be freed with sqlite3_free(); NULL when there is no such
    ** setting or no memory.
    */
    char *(*setting)(portal_api *api, const char *key);

    /*
    ** A credential stored by portal_secret(), a copy to be wiped and freed with sqlite3_free();
    ** NULL when there is none.
    */
    char *(*secret)(portal_api *api, const char *key);

    /*
    ** The message as Internet mail (RFC 5322, MIME), lines ended by `line_end` ("\n" or "\r\n").
    ** *size gets its length in bytes.  To be wiped and freed with sqlite3_free(); NULL when a header
    ** field would be malformed, then *size is 0, or without memory, then it is not.
    */
    char *(*mail)(portal_api *api, const portal_outgoing *message, const char *line_end,
                  size_t *size);
};

/* The API of a connection on which portal is loaded, or NULL. */
static inline portal_api *portal_api_from_db(sqlite3 *db)
{
    portal_api *api = NULL;
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, "SELECT portal_api(?1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_pointer(statement, 1, &api, "portal_api", NULL) == SQLITE_OK) {
        (void)sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return api;
}

#ifdef __cplusplus
}
#endif
#endif
