/*
** portal.h: the plugin API of the patient-portal registration extension for SQLite.
**
** A channel hands messages over to a mail server or an SMS gateway; a printer makes sheets of paper.  Each is
** a shared library in the folder portal.d beside portal.so, named after it (portal.d/smtp.so), written
** against this header alone, and is loaded at its first use.  It exports one function:
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

#define PORTAL_API_VERSION 4

typedef struct portal_api portal_api;
typedef struct portal_channel portal_channel;
typedef struct portal_option portal_option;
typedef struct portal_outgoing portal_outgoing;
typedef struct portal_report portal_report;
typedef struct portal_batch portal_batch;
typedef struct portal_request portal_request;
typedef struct portal_news portal_news;
typedef struct portal_sheet portal_sheet;
typedef struct portal_print portal_print;
typedef struct portal_printer portal_printer;

/* What a channel carries, as bits. */
#define PORTAL_EMAIL 1
#define PORTAL_TEXT 2
#define PORTAL_PRINT 4   /* of printers alone */

/* What became of one message. */
typedef enum portal_result {
    PORTAL_SENT,           /* handed over: whoever took it answers for it */
    PORTAL_RETRY,          /* surely not handed over; may work later */
    PORTAL_UNDELIVERABLE,  /* surely not handed over; will not work later */
    PORTAL_UNCERTAIN,      /* may have been handed over: tried once more, and the row says so */
    PORTAL_OPTED_OUT       /* surely not handed over: its recipient wants no messages of this medium */
} portal_result;

/* The least that a channel may have under way at once: next() gives no more before one is reported. */
#define PORTAL_UNDER_WAY 200

/*
** One message, rendered.  The strings are NUL-terminated UTF-8, belong to the extension and live until
** the message is reported; they hold links and PINs: do not log them.
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
    const char *html;               /* NULL: none, as of every text message */
    const char *message_id_header;  /* with angle brackets; the same at every try: an idempotency key */
    const char *language;           /* language tag, "en" */
    sqlite3_int64 created_at;       /* seconds UTC; the Date of a mail, the same at every try */
    int attempt;                    /* 1 for the first */
    sqlite3_int64 deadline;         /* seconds UTC: report before; after it another sender may have it */
    const char *claim;              /* with message_id, what a provider's later report is known by */
    int segments;                   /* of a text message: how many it is sent as; 0 for mail */
    int is_gsm;                     /* all of it is of the GSM-7 alphabet (3GPP TS 23.038); else UCS-2 */
};

/* What a channel says of a message. */
struct portal_report {
    portal_result result;
    const char *detail;             /* what staff read, the server's words say, on one line of 399 bytes at
                                       most; no secrets; NULL: none */
    int retry_after;                /* seconds, of PORTAL_RETRY: not sooner; 0: the extension decides */
};

/* A stream of messages to hand over.  Its functions are called from the thread that called deliver(). */
struct portal_batch {
    /* The next one, or NULL: there is none now. */
    const portal_outgoing *(*next)(portal_batch *batch);

    /*
    ** Takes the result of a message, once, as soon as it is known; all is copied.  A message without
    ** a report is tried again after its deadline.  SQLITE_OK, or an error code: deliver() should
    ** bring what is under way to its end and return it.
    */
    int (*report)(portal_batch *batch, const portal_outgoing *message, const portal_report *report);

    /*
    ** Makes durable what was reported: to be called before waiting, and four times a second while
    ** waiting.  SQLITE_INTERRUPT: somebody wants an end; next() gives no more, what is under way is to
    ** be brought to its end within seconds.  Another error code: deliver() should return it.
    */
    int (*settle)(portal_batch *batch);

    /* What people are told when deliver() returns an error: what stopped it, on one line; copied. */
    void (*explain)(portal_batch *batch, const char *words);
};

/*
** A request of a provider's, which came to portal_url/callback/NAME, where NAME is the channel's.  The strings
** are NUL-terminated UTF-8, "" where there is none, and live until receive() returns.
*/
struct portal_request {
    const char *url;                /* as the provider has it, with its query */
    const char *query;              /* what stands after "?" in it */
    const char *body;
    /* A field of the head, whatever the case of its name. */
    const char *(*header)(const portal_request *request, const char *name);
};

/* What it says. */
typedef enum portal_word {
    PORTAL_SAYS_NOTHING,            /* that anybody needs to know */
    PORTAL_SAYS_UNDER_WAY,          /* a message is on its way */
    PORTAL_SAYS_DELIVERED,          /* has arrived */
    PORTAL_SAYS_UNDELIVERED,        /* will not arrive */
    PORTAL_SAYS_BOUNCED,            /* came back */
    PORTAL_SAYS_OPTED_OUT,          /* was refused, because its recipient wants none */
    PORTAL_SAYS_STOP,               /* a contact wants no more messages */
    PORTAL_SAYS_START               /* wants them again */
} portal_word;

enum { PORTAL_CLAIM_SIZE = 64, PORTAL_CONTACT_SIZE = 320, PORTAL_DETAIL_SIZE = 400 };

struct portal_news {
    portal_word word;
    sqlite3_int64 message_id;               /* of a message: both as they were handed over with it; */
    char claim[PORTAL_CLAIM_SIZE];          /* the extension believes nobody who has not the claim */
    char contact[PORTAL_CONTACT_SIZE];      /* of STOP and START: as the provider writes it */
    char detail[PORTAL_DETAIL_SIZE];        /* what staff read of a message; "": nothing */
};

/* What the value of an option may be. */
typedef enum portal_option_kind {
    PORTAL_OPTION_LINE,             /* a line of `least` to `most` characters */
    PORTAL_OPTION_URL,              /* likewise, with a scheme */
    PORTAL_OPTION_NUMBER,           /* a whole number from `least` to `most` */
    PORTAL_OPTION_SECRET            /* a credential: set by portal_secret(), never shown */
} portal_option_kind;

/* A setting or a credential of a channel; its key is the channel's name, "_", and a word. */
struct portal_option {
    const char *key;                /* "smtp_url" */
    portal_option_kind kind;
    const char *standard;           /* what holds until it is set */
    int least, most;
    const char *description;        /* one sentence */
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

    /* Hands over what the batch gives.  SQLITE_OK when every result was reported, else an error code. */
    int (*deliver)(void *data, portal_batch *batch);

    /*
    ** Is it configured?  NULL when it is, else what is missing, sqlite3_mprintf() text that the
    ** caller frees ("set smtp_url").  Quick, without network.  May be NULL: always ready.
    */
    char *(*problem)(void *data);

    /* Its settings and credentials, ended by a row without a key; kept, not copied.  May be NULL. */
    const portal_option *options;

    /*
    ** Since version 2.  Connects, encrypts and signs in as deliver() would, and sends nothing.  Takes 10
    ** seconds at most; called when problem() has nothing to say.  SQLITE_OK: *wrong stays NULL when all went
    ** well, else gets what is wrong and the remedy, sqlite3_mprintf() text that the caller frees; and
    ** *certified_until gets the end, seconds UTC, of the certificate that the server showed, if it did.
    ** SQLITE_NOMEM: it was not tried.  May be NULL: it can not be tried.
    */
    int (*probe)(void *data, char **wrong, sqlite3_int64 *certified_until);

    /*
    ** Since version 3.  Reads what a provider says, into *news, which comes zeroed.  Quick, without network; anybody
    ** can send such a request.  SQLITE_OK: it is genuine, or says something of a message alone, with its claim.
    ** SQLITE_AUTH: it is not.  Another error code: it could not be told, and the provider may come again.
    ** May be NULL: nobody reports.
    */
    int (*receive)(void *data, const portal_request *request, portal_news *news);
};

/*
** A sheet to hang up or to hand over: what it says.  The strings are NUL-terminated UTF-8 (composed, NFC) and
** live until print() returns; url and code may be secrets: do not log them.
*/
struct portal_sheet {
    const char *paper;              /* "A4" or "Letter" */
    const char *language;           /* language tag, "en" */
    const char *color;              /* the practice's, "#rrggbb" */
    const char *ink;                /* black or white, whichever can be read on that colour; white: and that on white */
    const char *practice;           /* its name */
    const char *title;
    /*
    ** Paragraphs, an empty line between them.  One that is `url` alone is where the QR code goes, one that is
    ** `code` alone is what somebody has to type; those that begin with "1. " are steps; what follows these is the foot.
    */
    const char *text;
    const char *url;                /* what the QR code says */
    const char *code;               /* of a letter to one person; NULL: a poster, to be read from afar */
    sqlite3_int64 created_at;       /* seconds UTC */
};

enum { PORTAL_CHARACTER_SIZE = 8 };

/* What print() made of it. */
struct portal_print {
    void *pdf;                      /* sqlite3_malloc() */
    size_t size;
    char *wrong;                    /* sqlite3_mprintf() text: what went wrong, and the remedy */
    char character[PORTAL_CHARACTER_SIZE];  /* which can not be printed; "": all can */
};

/* A printer: how sheets look. */
struct portal_printer {
    int version;            /* PORTAL_API_VERSION it was written for */
    const char *name;       /* "poster"; also its file's name; copied */
    const char *release;    /* version text of the plugin, for portal_channels; copied */

    /*
    ** Makes a PDF of a sheet, the same bytes of the same sheet, into *print, which comes zeroed.  SQLITE_OK;
    ** SQLITE_ERROR with `wrong` or `character` set; or SQLITE_NOMEM.  Whatever is set the caller frees.
    */
    int (*print)(void *data, const portal_sheet *sheet, portal_print *print);
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
    ** A credential stored by portal_secret(), or else from the environment (PORTAL_SMTP_PASSWORD for
    ** smtp_password); a copy to be wiped and freed with sqlite3_free(); NULL when there is none.
    */
    char *(*secret)(portal_api *api, const char *key);

    /*
    ** The message as Internet mail (RFC 5322, MIME), lines ended by `line_end` ("\n" or "\r\n").
    ** *size gets its length in bytes.  To be wiped and freed with sqlite3_free(); NULL when a header
    ** field would be malformed, then *size is 0, or without memory, then it is not.
    */
    char *(*mail)(portal_api *api, const portal_outgoing *message, const char *line_end,
                  size_t *size);

    /* Since version 4.  Adds a printer, as register_channel() adds a channel. */
    int (*register_printer)(portal_api *api, const portal_printer *printer, void *data,
                            void (*destroy)(void *));
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
