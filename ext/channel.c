#include "channel.h"

#include "installation.h"
#include "message.h"
#include "secret.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { NAME_SIZE = 64 };

typedef int (*plugin_init)(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

static struct channel *channel_find(const struct portal *portal, const char *name)
{
    for (struct channel *channel = portal->channels; channel != NULL; channel = channel->next) {
        if (strcmp(channel->api.name, name) == 0) return channel;
    }
    return NULL;
}

/* By name, because folders list their files in no order. */
static void channel_insert(struct portal *portal, struct channel *channel)
{
    struct channel **next = &portal->channels;

    while (*next != NULL && strcmp((*next)->api.name, channel->api.name) < 0) next = &(*next)->next;
    channel->next = *next;
    *next = channel;
}

/* A node with a name; its texts are copies. */
static struct channel *channel_new(const char *name)
{
    struct channel *channel = sqlite3_malloc(sizeof *channel);

    if (channel == NULL) return NULL;
    memset(channel, 0, sizeof *channel);
    channel->api.name = sqlite3_mprintf("%s", name);
    if (channel->api.name == NULL) {
        sqlite3_free(channel);
        return NULL;
    }
    return channel;
}

static void channel_free(struct channel *channel)
{
    if (channel->destroy != NULL) channel->destroy(channel->data);
    sqlite3_free((char *)channel->api.name);
    sqlite3_free((char *)channel->api.release);
    sqlite3_free(channel->problem);
    sqlite3_free(channel);
}

void channel_clear(struct portal *portal)
{
    while (portal->channels != NULL) {
        struct channel *channel = portal->channels;
        portal->channels = channel->next;
        channel_free(channel);
    }
}

/* What somebody registers under a name (NULL: nothing that can be), to be filled in; else NULL, and `data` is destroyed. */
static struct channel *channel_begin(struct portal *portal, const char *name, const char *release, void *data,
                                     void (*destroy)(void *), int *code)
{
    struct channel *channel = NULL;

    *code = SQLITE_MISUSE;
    if (name != NULL && *name != '\0' && channel_find(portal, name) == NULL) {
        *code = SQLITE_NOMEM;
        channel = channel_new(name);
    }
    if (channel != NULL && (channel->api.release = sqlite3_mprintf("%s", release == NULL ? "" : release)) == NULL) {
        channel_free(channel);
        channel = NULL;
    }
    if (channel == NULL) {
        if (destroy != NULL) destroy(data);
        return NULL;
    }
    channel->data = data;
    channel->destroy = destroy;
    channel->file = "portal.d";
    return channel;
}

static int register_channel(portal_api *api, const portal_channel *given, void *data,
                            void (*destroy)(void *))
{
    struct portal *portal = (struct portal *)api;
    bool fits = given != NULL && given->version >= 1 && given->deliver != NULL &&
                (given->serves & (PORTAL_EMAIL | PORTAL_TEXT)) != 0;
    int code;
    struct channel *channel = channel_begin(portal, fits ? given->name : NULL, fits ? given->release : NULL, data, destroy, &code);

    if (channel == NULL) return code;
    channel->api.version = given->version;
    channel->api.serves = given->serves & (PORTAL_EMAIL | PORTAL_TEXT);
    channel->api.deliver = given->deliver;
    channel->api.problem = given->problem;
    channel->api.options = given->options;
    /* Whoever was built for an earlier version has a struct that ends before these. */
    channel->api.probe = given->version >= 2 ? given->probe : NULL;
    channel->api.receive = given->version >= 3 ? given->receive : NULL;
    channel_insert(portal, channel);
    return SQLITE_OK;
}

static int register_printer(portal_api *api, const portal_printer *given, void *data, void (*destroy)(void *))
{
    struct portal *portal = (struct portal *)api;
    bool fits = given != NULL && given->version >= 4 && given->print != NULL;
    int code;
    struct channel *channel = channel_begin(portal, fits ? given->name : NULL, fits ? given->release : NULL, data, destroy, &code);

    if (channel == NULL) return code;
    channel->api.version = given->version;
    channel->api.serves = PORTAL_PRINT;
    channel->print = given->print;
    channel_insert(portal, channel);
    return SQLITE_OK;
}

/* Beside the database; an in-memory one keeps its mail in the current folder. */
static char *default_maildir(struct portal *portal)
{
    const char *path = connection_path(portal);

    return sqlite3_mprintf("%s-outbox", *path == '\0' ? "portal" : path);
}

static char *api_setting(portal_api *api, const char *key)
{
    struct portal *portal = (struct portal *)api;
    int index = setting_find(key);
    const portal_option *option = index < 0 ? channel_option(portal, key) : NULL;
    const char *text = index < 0 ? NULL : setting_text(portal, (enum setting)index);
    char *value = NULL;

    if (option != NULL) return setting_option(portal, option, &value) == SQLITE_OK ? value : NULL;
    if (text == NULL) return NULL;
    if (index == SETTING_maildir && *text == '\0') return default_maildir(portal);
    return sqlite3_mprintf("%s", text);
}

/* PORTAL_SMTP_PASSWORD for smtp_password. */
static char *environment_secret(const char *key)
{
    char name[80];
    const char *value;
    int length = snprintf(name, sizeof name, "PORTAL_%s", key);

    if (length < 0 || length >= (int)sizeof name) return NULL;
    for (char *at = name; *at != '\0'; at++) *at = (char)toupper((unsigned char)*at);
    value = getenv(name);
    return value == NULL || *value == '\0' ? NULL : sqlite3_mprintf("%s", value);
}

static char *api_secret(portal_api *api, const char *key)
{
    char *value = NULL;

    if (secret_read((struct portal *)api, key, &value) != SQLITE_OK) return NULL;
    return value != NULL ? value : environment_secret(key);
}

void channel_api(struct portal *portal)
{
    portal->api.version = PORTAL_API_VERSION;
    portal->api.register_channel = register_channel;
    portal->api.setting = api_setting;
    portal->api.secret = api_secret;
    portal->api.mail = message_mail;
    portal->api.register_printer = register_printer;
}

/* Runs a plugin's entry point.  NULL, or what went wrong, sqlite3_mprintf() text. */
static char *plugin_start(struct portal *portal, void *library, const char *name)
{
    char *error = NULL;
    char *problem = NULL;
    void *symbol = dlsym(library, "portal_plugin_init");
    plugin_init start;
    int code;

    if (portal->routines == NULL) {
        return sqlite3_mprintf("needs a program that registers portal with sqlite3_auto_extension()");
    }
    if (symbol == NULL) return sqlite3_mprintf("has no function portal_plugin_init");
    memcpy(&start, &symbol, sizeof start);   /* ISO C has no cast from object to function pointer */
    code = start(portal->db, &error, portal->routines);
    if (code != SQLITE_OK) {
        problem = sqlite3_mprintf("did not start: %s", error != NULL ? error : sqlite3_errstr(code));
    } else if (channel_find(portal, name) == NULL) {
        problem = sqlite3_mprintf("registered no channel of its name");
    }
    sqlite3_free(error);
    return problem;
}

/* Loads portal.d/NAME.so; what goes wrong is kept as the channel's problem, so that it is tried once. */
static int plugin_load(struct portal *portal, const char *name)
{
    char folder[4096];
    char path[4096 + NAME_SIZE];
    struct channel *channel;
    char *problem;
    void *library;
    struct stat status;

    if (strlen(name) >= NAME_SIZE ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0' ||
        !installation_find("portal.d", folder, sizeof folder)) {
        return SQLITE_OK;
    }
    (void)sqlite3_snprintf((int)sizeof path, path, "%s/%s.so", folder, name);
    if (stat(path, &status) != 0) return SQLITE_OK;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    problem = library == NULL ? sqlite3_mprintf("can not be loaded: %s", dlerror())
                              : plugin_start(portal, library, name);
    channel = channel_find(portal, name);
    if (problem == NULL) return channel != NULL ? SQLITE_OK : fault(portal, SQLITE_NOMEM);
    if (channel == NULL) {
        channel = channel_new(name);
        if (channel != NULL) channel_insert(portal, channel);
    }
    if (channel == NULL) {
        sqlite3_free(problem);
        return fault(portal, SQLITE_NOMEM);
    }
    channel->file = "portal.d";
    sqlite3_free(channel->problem);
    channel->problem = problem;
    return SQLITE_OK;
}

static int built_in(struct portal *portal)
{
    struct channel *maildir = channel_find(portal, "maildir");

    if (maildir != NULL) return SQLITE_OK;
    if (maildir_register(&portal->api) == SQLITE_OK) maildir = channel_find(portal, "maildir");
    if (maildir == NULL) return fault(portal, SQLITE_NOMEM);
    maildir->file = "built in";
    return SQLITE_OK;
}

int channel_load_all(struct portal *portal)
{
    char folder[4096];
    DIR *listing;
    struct dirent *entry;
    int code = built_in(portal);

    if (code != SQLITE_OK || !installation_find("portal.d", folder, sizeof folder)) return code;
    listing = opendir(folder);
    if (listing == NULL) return SQLITE_OK;
    while (code == SQLITE_OK && (entry = readdir(listing)) != NULL) {
        char name[NAME_SIZE];
        size_t length = strlen(entry->d_name);
        if (length < 4 || length - 3 >= sizeof name ||
            strcmp(entry->d_name + length - 3, ".so") != 0) {
            continue;
        }
        (void)sqlite3_snprintf((int)(length - 2), name, "%s", entry->d_name);
        if (channel_find(portal, name) == NULL) code = plugin_load(portal, name);
    }
    (void)closedir(listing);
    return code;
}

const portal_option *channel_option(struct portal *portal, const char *key)
{
    for (const char *end = strchr(key, '_'); end != NULL; end = strchr(end + 1, '_')) {
        char name[NAME_SIZE];
        const struct channel *channel;
        const portal_option *option;
        if (end - key >= NAME_SIZE) return NULL;
        (void)sqlite3_snprintf((int)(end - key) + 1, name, "%s", key);
        if (channel_find(portal, name) == NULL && plugin_load(portal, name) != SQLITE_OK) return NULL;
        channel = channel_find(portal, name);
        option = channel == NULL ? NULL : channel->api.options;
        while (option != NULL && option->key != NULL && strcmp(option->key, key) != 0) option++;
        if (option != NULL && option->key != NULL) return option;
    }
    return NULL;
}

/* What keeps a channel from taking messages, said as a refusal. */
static int channel_check(struct portal *portal, const struct channel *channel, int serves)
{
    char *problem;
    int code;

    if (channel->problem != NULL) {
        return refuse(portal, "the plugin %s %s", channel->api.name, channel->problem);
    }
    if ((channel->api.serves & serves) != serves) {
        static const char *const what[] = {
            [PORTAL_EMAIL] = "carry email", [PORTAL_TEXT] = "carry text messages", [PORTAL_PRINT] = "print",
        };
        return refuse(portal, "the channel %s does not %s", channel->api.name, what[serves]);
    }
    if (channel->api.problem == NULL) return SQLITE_OK;
    problem = channel->api.problem(channel->data);
    if (problem == NULL) return SQLITE_OK;
    code = refuse(portal, "the channel %s is not ready: %s", channel->api.name, problem);
    sqlite3_free(problem);
    return code;
}

int channel_look(struct portal *portal, const char *name, struct channel **channel)
{
    int code = built_in(portal);

    *channel = channel_find(portal, name);
    if (code == SQLITE_OK && *channel == NULL) {
        code = plugin_load(portal, name);
        *channel = channel_find(portal, name);
    }
    return code;
}

int channel_open(struct portal *portal, const char *name, int serves, struct channel **channel)
{
    int code = channel_look(portal, name, channel);

    if (code != SQLITE_OK) return code;
    if (*channel == NULL) {
        return refuse(portal, "there is no channel %.*s: no %.*s.so in portal.d beside portal.so", NAME_SIZE, name,
                      NAME_SIZE, name);
    }
    return channel_check(portal, *channel, serves);
}

/* *wrong becomes sqlite3_mprintf() text: SQLITE_OK, or SQLITE_NOMEM. */
static int told(struct portal *portal, char *text, char **wrong)
{
    *wrong = text;
    return text == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

int channel_try(struct portal *portal, const char *name, char **wrong)
{
    enum { DAY = 86400, SOON = 14 * DAY };
    struct channel *channel = NULL;
    sqlite3_int64 until = 0;
    sqlite3_int64 left;
    int code = channel_open(portal, name, 0, &channel);

    *wrong = NULL;
    if (channel == NULL || (code != SQLITE_OK && code != REFUSED)) return code;
    if (code == REFUSED) return told(portal, sqlite3_mprintf("%s", portal->error), wrong);
    if (channel->api.probe == NULL) {
        return told(portal, sqlite3_mprintf("can not be tried: the plugin %s has no test connection", name), wrong);
    }
    code = channel->api.probe(channel->data, wrong, &until);
    if (code != SQLITE_OK) return fault(portal, code);
    left = until - time(NULL);      /* the clock that TLS goes by */
    if (*wrong != NULL || until == 0 || left > SOON) return SQLITE_OK;
    return told(portal, sqlite3_mprintf("the server's certificate ends in %lld days; have it renewed", left / DAY), wrong);
}

int channel_for(struct portal *portal, int serves, struct channel **channel)
{
    static const enum setting settings[] = {
        [PORTAL_EMAIL] = SETTING_email_channel, [PORTAL_TEXT] = SETTING_text_channel, [PORTAL_PRINT] = SETTING_print_channel,
    };

    return channel_open(portal, setting_text(portal, settings[serves]), serves, channel);
}
