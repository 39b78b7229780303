/*
** Channels: who carries messages.  The built-in one and plugins register through the same API.
*/
#ifndef PORTAL_CHANNEL_H
#define PORTAL_CHANNEL_H

#include "connection.h"

/* One channel of a connection, or a printer, which is a channel that serves PORTAL_PRINT; a linked list by name. */
struct channel {
    struct channel *next;
    portal_channel api;
    int (*print)(void *data, const portal_sheet *sheet, portal_print *print);   /* of a printer; else NULL */
    void *data;
    void (*destroy)(void *);
    const char *file;        /* of the plugin, or "built in" */
    char *problem;           /* why a plugin could not be loaded, or NULL; then api has only a name */
};

/* Fills in the API that plugins are handed. */
void channel_api(struct portal *portal);

/* The channel of a name, loaded from portal.d/ if need be, whatever its state; *channel is NULL when there is none. */
int channel_look(struct portal *portal, const char *name, struct channel **channel);

/*
** The same, ready for messages.  SQLITE_OK and *channel, or REFUSED with
** what is wrong: no such plugin, it failed to start, it does not serve the medium, it is not
** configured.
*/
int channel_open(struct portal *portal, const char *name, int serves, struct channel **channel);

/* The channel that carries a medium (PORTAL_EMAIL, PORTAL_TEXT, PORTAL_PRINT), by the settings. */
int channel_for(struct portal *portal, int serves, struct channel **channel);

/*
** Connects and signs in as for delivering, and sends nothing; no lock may be held.  *wrong is NULL when all is
** well, else what is not, sqlite3_free().  SQLITE_OK, or REFUSED when there is no such channel.
*/
int channel_try(struct portal *portal, const char *name, char **wrong);

/* Loads every plugin in portal.d/, so that portal_channels can list them. */
int channel_load_all(struct portal *portal);

/* The option of a channel, whose plugin is loaded if need be; NULL when there is none of that key. */
const portal_option *channel_option(struct portal *portal, const char *key);

void channel_clear(struct portal *portal);

/* The built-in channel; ext/plugins/maildir.c. */
int maildir_register(portal_api *api);

#endif
