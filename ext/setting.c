#include "setting.h"

#include "audit.h"
#include "channel.h"
#include "connection.h"
#include "contact.h"
#include "normalize.h"

#include <stdlib.h>
#include <string.h>

enum kind { LINE, PHONE, URL, ANY_URL, EMAIL, DIGITS, NUMBER, NAME, CONTACTS, COLOR, PAPER };

/* What a value has to be like. */
struct form {
    enum kind kind;
    int least, most;
};

static const struct {
    const char *key;
    const char *standard;
    struct form form;
    const char *description;
} rows[SETTING_COUNT] = {
#define SETTING_ROW(name, standard, kind, least, most, description) \
    {#name, standard, {kind, least, most}, description},
    SETTING_LIST(SETTING_ROW)
#undef SETTING_ROW
};

static const char read_settings[] = "SELECT key, value FROM main.portal_setting";
static const char store_setting[] =
    "INSERT INTO main.portal_setting (key, value) VALUES (?1, ?2)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value";
static const char read_setting[] = "SELECT value FROM main.portal_setting WHERE key = ?1";
static const char delete_setting[] = "DELETE FROM main.portal_setting WHERE key = ?1";

const char *setting_text(const struct portal *portal, enum setting setting)
{
    const char *text = portal->settings.text[setting];

    return text != NULL ? text : rows[setting].standard;
}

sqlite3_int64 setting_number(const struct portal *portal, enum setting setting)
{
    return portal->settings.number[setting];
}

struct setting_row setting_row(int index)
{
    struct setting_row row = {NULL, NULL, NULL};

    if (index < SETTING_COUNT) {
        row.key = rows[index].key;
        row.standard = rows[index].standard;
        row.description = rows[index].description;
    }
    return row;
}

int setting_find(const char *key)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(rows[i].key, key) == 0) return i;
    }
    return -1;
}

void setting_clear(struct settings *settings)
{
    for (int i = 0; i < SETTING_COUNT; i++) sqlite3_free(settings->text[i]);
    memset(settings, 0, sizeof *settings);
}

/* Every character of the text is in the set. */
static int consists_of(const char *text, const char *set)
{
    return text[strspn(text, set)] == '\0';
}

static const char digits[] = "0123456789";

static const char *number_problem(const char *value, int least, int most)
{
    long number;

    if (*value == '\0' || !consists_of(value, digits) || strlen(value) > 9) {
        return "must be a whole number";
    }
    number = strtol(value, NULL, 10);
    return number < least || number > most ? "is out of range" : NULL;
}

static const char url_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                     "-._~:/[]%+";

static const char *any_url_problem(const char *value)
{
    const char *host = strstr(value, "://");

    if (*value == '\0') return NULL;
    if (!consists_of(value, url_characters)) return "has a character that may not be in it";
    return host == NULL || host == value || host[3] == '\0' ? "must be like scheme://host" : NULL;
}

/* A link over plain http could be read and used on its way: only this machine may have one. */
static const char *url_problem(const char *value)
{
    static const char *const loopback[] = {"http://localhost", "http://127.0.0.1", "http://[::1]"};
    const char *host;

    if (!consists_of(value, url_characters)) return "has a character that may not be in it";
    if (value[strlen(value) - 1] == '/') return "must not end with a slash";
    if (strncmp(value, "https://", 8) == 0) {
        host = value + 8;
        return *host == '/' || *host == ':' ? "names no host" : NULL;
    }
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
        size_t length = strlen(loopback[i]);
        if (strncmp(value, loopback[i], length) == 0 && strchr(":/", value[length]) != NULL) {
            return NULL;
        }
    }
    return "must begin with https://";
}

/* "email, cell_phone": names from a fixed list, each at most once. */
static const char *contacts_problem(const char *value)
{
    const char *at = value;
    int email = 0;
    int phone = 0;

    while (*at != '\0') {
        size_t length;
        at += strspn(at, ", ");
        length = strcspn(at, ", ");
        if (length == 5 && strncmp(at, "email", 5) == 0) {
            email++;
        } else if (length == 10 && strncmp(at, "cell_phone", 10) == 0) {
            phone++;
        } else if (length > 0) {
            return "may name email and cell_phone, with a comma between";
        }
        at += length;
    }
    return email > 1 || phone > 1 ? "names a contact twice" : NULL;
}

static const char *email_problem(const char *value)
{
    char normal[CONTACT_SIZE];
    const char *problem = contact_normalize_email(value, normal);

    if (problem != NULL) return problem;
    /* It is written into mail as it stands. */
    return sqlite3_stricmp(value, normal) == 0 ? NULL : "has a space around it or an unusual letter";
}

static const char *value_problem(const struct form *form, const char *value)
{
    long length = normalize_code_points(value);

    if (length < 0) return "is not valid text";
    if (normalize_has_hidden(value)) return "has a control or invisible character";
    if (form->kind == NUMBER) return number_problem(value, form->least, form->most);
    if (length > 0 ? consists_of(value, " ") : form->least > 0) return "must not be empty";
    if (length < form->least) return "is too short";
    if (length > form->most) return "is too long";
    switch (form->kind) {
    case PHONE: return consists_of(value, "0123456789 +-.()/") ? NULL : "is no telephone number";
    case URL: return url_problem(value);
    case ANY_URL: return any_url_problem(value);
    case EMAIL: return email_problem(value);
    case DIGITS: return consists_of(value, digits) && *value != '0' ? NULL : "must be digits";
    case NAME:
        return consists_of(value, "abcdefghijklmnopqrstuvwxyz0123456789_")
               ? NULL : "may have lower-case letters, digits and _";
    case CONTACTS: return contacts_problem(value);
    case COLOR:
        return length == 7 && *value == '#' && consists_of(value + 1, "0123456789abcdefABCDEF") ? NULL : "must be a colour as #rrggbb";
    case PAPER: return strcmp(value, "A4") == 0 || strcmp(value, "Letter") == 0 ? NULL : "is neither A4 nor Letter";
    case NUMBER:
    case LINE: break;
    }
    return NULL;
}

/* A value that does not fit was put there past us: the default is safer. */
static int take(struct settings *settings, sqlite3_stmt *row)
{
    const char *key = (const char *)sqlite3_column_text(row, 0);
    const char *value = (const char *)sqlite3_column_text(row, 1);
    int index = key == NULL ? -1 : setting_find(key);

    if (index < 0 || value == NULL || strlen(value) != (size_t)sqlite3_column_bytes(row, 1) ||
        value_problem(&rows[index].form, value) != NULL) {
        return SQLITE_OK;
    }
    settings->text[index] = sqlite3_mprintf("%s", value);
    return settings->text[index] == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

int setting_load(struct portal *portal, sqlite3_int64 stamp)
{
    struct settings *settings = &portal->settings;
    sqlite3_stmt *statement = NULL;
    int code;

    setting_clear(settings);
    code = statement_row(portal, &statement, read_settings, "");
    while (code == SQLITE_ROW) {
        code = take(settings, statement);
        code = code == SQLITE_OK ? statement_next(portal, statement) : fault(portal, code);
    }
    statement_done(portal, statement);
    if (code != SQLITE_DONE) return code;
    for (int i = 0; i < SETTING_COUNT; i++) {
        settings->number[i] = strtoll(setting_text(portal, (enum setting)i), NULL, 10);
    }
    settings->stamp = stamp;
    settings->loaded = 1;
    return SQLITE_OK;
}

static struct form option_form(const portal_option *option)
{
    static const enum kind kinds[] = {
        [PORTAL_OPTION_LINE] = LINE, [PORTAL_OPTION_URL] = ANY_URL, [PORTAL_OPTION_NUMBER] = NUMBER,
        [PORTAL_OPTION_SECRET] = LINE,
    };

    return (struct form){kinds[option->kind], option->least, option->most};
}

int setting_option(struct portal *portal, const portal_option *option, char **value)
{
    struct form form = option_form(option);
    sqlite3_stmt *statement = NULL;
    const char *stored = NULL;
    int code = statement_row(portal, &statement, read_setting, "s", option->key);

    *value = NULL;
    if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
    /* NULL: there is no memory for a copy in UTF-8. */
    if (code == SQLITE_ROW) stored = (const char *)sqlite3_column_text(statement, 0);
    if (code == SQLITE_DONE || (stored != NULL && value_problem(&form, stored) != NULL)) {
        stored = option->standard;
    }
    if (stored != NULL) *value = sqlite3_mprintf("%s", stored);
    statement_done(portal, statement);
    return *value == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}

/* The form of a setting of ours or of a channel.  REFUSED when there is none of the key. */
static int form_find(struct portal *portal, const char *key, struct form *form)
{
    int index = setting_find(key);
    const portal_option *option = index < 0 ? channel_option(portal, key) : NULL;

    if (option != NULL && option->kind == PORTAL_OPTION_SECRET) {
        return refuse(portal, "%s is a credential; use portal_secret", key);
    }
    if (index < 0 && option == NULL) {
        return refuse(portal, "there is no setting '%.40s'; SELECT key FROM portal_settings lists them",
                      key);
    }
    *form = index < 0 ? option_form(option) : rows[index].form;
    return SQLITE_OK;
}

int setting_store(struct portal *portal, const char *key, const char *value)
{
    struct form form = {LINE, 0, 0};
    const char *problem;
    int code = form_find(portal, key, &form);

    if (code != SQLITE_OK) return code;
    problem = value == NULL ? NULL : value_problem(&form, value);
    if (problem != NULL && form.kind == NUMBER) {
        return refuse(portal, "the value of %s %s: from %d to %d", key, problem, form.least, form.most);
    }
    if (problem != NULL) return refuse(portal, "the value of %s %s", key, problem);
    code = value == NULL ? statement_run(portal, delete_setting, "s", key)
                         : statement_run(portal, store_setting, "ss", key, value);
    if (code == SQLITE_OK) code = audit_write(portal, "setting.changed", NULL, key, value);
    return code;
}

int setting_tell(struct portal *portal, const char *key, char **value)
{
    struct form form = {LINE, 0, 0};
    int index = setting_find(key);
    int code = form_find(portal, key, &form);

    *value = NULL;
    if (code != SQLITE_OK) return code;
    if (index < 0) return setting_option(portal, channel_option(portal, key), value);
    *value = sqlite3_mprintf("%s", setting_text(portal, (enum setting)index));
    return *value == NULL ? fault(portal, SQLITE_NOMEM) : SQLITE_OK;
}
