#include "wording_table.h"

#include "audit.h"
#include "calendar.h"
#include "call.h"
#include "message.h"
#include "segment.h"

#include <string.h>

enum column { KIND, CHANNEL, LANGUAGE, SUBJECT, TEXT, HTML, EDITED, SEGMENTS, TEMPLATE_ID, COLUMNS };

enum { NAME_SIZE = 64, WORDS_SIZE = 48 };

static const char store_wording[] =
    "INSERT OR REPLACE INTO main.portal_wording (kind, channel, language, subject, text, html, edited_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
static const char delete_wording[] =
    "DELETE FROM main.portal_wording WHERE kind = ?1 AND channel = ?2 AND language = ?3";

/* What a text message must have room for: a portal_url of 40 characters, or the practice's own, longer one. */
static const char *sample_url(const struct portal *portal)
{
    static const char forty[] = "https://portals.of-forty-characters.test";
    const char *own = setting_text(portal, SETTING_portal_url);

    return strlen(own) < sizeof forty ? forty : own;
}

static const char *wording_name(const struct wording *wording, char out[NAME_SIZE])
{
    return sqlite3_snprintf(NAME_SIZE, out, "%s.%s.%s", wording->kind->name, medium_name(wording->medium),
                            wording->language);
}

/*
** The rowid must name a row while others come and go: a statement that changes many gathers their rowids
** first.  It is the language as a number, then the kind, then the medium, which 63 bits just hold.
*/
static const char language_digits[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
enum { LANGUAGE_BASE = sizeof language_digits, KIND_BASE = 12, MEDIUM_BASE = 3 };

static sqlite3_int64 wording_id(const struct wording *wording)
{
    sqlite3_int64 id = 0;
    int kind = 0;

    for (const char *at = wording->language; *at != '\0'; at++) {
        id = id * LANGUAGE_BASE + 1 + (strchr(language_digits, *at) - language_digits);
    }
    while (kind_row(kind) != wording->kind) kind++;
    return (id * KIND_BASE + kind) * MEDIUM_BASE + ((int)wording->medium >> 1);
}

/* The text of a message with the practice's name and the sample URL; sqlite3_malloc'd, NULL without memory. */
static char *sample_text(struct portal *portal, const struct wording *wording)
{
    char problem[TEMPLATE_PROBLEM_SIZE];
    struct template_values values;
    struct template_part part;
    size_t length;
    char *text;

    (void)template_parse(&part, wording->source.text, false, problem);
    message_sample(portal, wording->kind, sample_url(portal), &values);
    length = template_length(&part, &values);
    text = sqlite3_malloc64(length + 1);
    if (text == NULL) return NULL;
    template_write(&part, &values, text);
    text[length] = '\0';
    return text;
}

/* How many segments that takes, and "3 segments (UCS-2, for 'é')". */
static int segments_of(struct portal *portal, const struct wording *wording, int *segments, char words[WORDS_SIZE])
{
    char *text = sample_text(portal, wording);
    const char *foreign;
    size_t length = 0;

    if (text == NULL) return fault(portal, SQLITE_NOMEM);
    *segments = segment_count(text, NULL);
    foreign = segment_foreign(text, &length);
    (void)sqlite3_snprintf(WORDS_SIZE, words,
                           foreign == NULL ? "%d segments (GSM-7)" : "%d segments (UCS-2, for '%.*s')",
                           *segments, (int)length, foreign);
    sqlite3_free(text);
    return SQLITE_OK;
}

/* The columns that follow from the others, "" for NULL. */
struct computed {
    char edited[CALENDAR_TIME_SIZE];
    char segments[16];
};

static int computed_fill(struct portal *portal, const struct wording *wording, struct computed *computed)
{
    char words[WORDS_SIZE];
    int segments = 0;
    int code;

    computed->edited[0] = '\0';
    computed->segments[0] = '\0';
    if (wording->edited_at != 0) calendar_utc(wording->edited_at, computed->edited);
    if (wording->medium != MEDIUM_TEXT) return SQLITE_OK;
    code = segments_of(portal, wording, &segments, words);
    (void)sqlite3_snprintf((int)sizeof computed->segments, computed->segments, "%d", segments);
    return code;
}

static const char *null_if_empty(const char *text)
{
    return *text == '\0' ? NULL : text;
}

static int row_add(struct cursor *cursor, const struct wording *wording)
{
    const struct template_source *source = &wording->source;
    struct computed computed;
    char id[24];
    int code = computed_fill(cursor->portal, wording, &computed);

    if (code != SQLITE_OK) return code;
    (void)sqlite3_snprintf((int)sizeof id, id, "%lld", wording_id(wording));
    return table_add(cursor, wording->kind->name, medium_name(wording->medium), wording->language,
                     source->subject, source->text, source->html, null_if_empty(computed.edited),
                     null_if_empty(computed.segments), id);
}

int wording_table_open(struct cursor *cursor, sqlite3_value *key[2])
{
    struct wording *wording = NULL;
    int code = wording_list(cursor->portal, &wording);

    (void)key;
    cursor->width = COLUMNS;
    for (; wording != NULL && code == SQLITE_OK; wording = wording->next) code = row_add(cursor, wording);
    return code;
}

/* Writing */

/* A text that is given, without the carriage returns of web forms; sqlite3_malloc'd, or NULL for NULL. */
static int text_take(struct portal *portal, sqlite3_value *value, const char *column, char **out)
{
    int type = sqlite3_value_type(value);
    const char *text = (const char *)sqlite3_value_text(value);
    char *to;

    *out = NULL;
    if (type == SQLITE_NULL) return SQLITE_OK;
    if (text == NULL) return fault(portal, SQLITE_NOMEM);
    if (type != SQLITE_TEXT || strlen(text) != (size_t)sqlite3_value_bytes(value)) {
        return refuse(portal, "%s must be text", column);
    }
    *out = to = sqlite3_mprintf("%s", text);
    if (to == NULL) return fault(portal, SQLITE_NOMEM);
    for (; *text != '\0'; text++) {
        if (strncmp(text, "\r\n", 2) != 0) *to++ = *text;
    }
    *to = '\0';
    return SQLITE_OK;
}

static int segments_check(struct portal *portal, const struct wording *wording, const char *name)
{
    sqlite3_int64 most = setting_number(portal, SETTING_text_segments);
    char words[WORDS_SIZE];
    int segments = 0;
    int code = segments_of(portal, wording, &segments, words);

    if (code != SQLITE_OK || segments <= most) return code;
    return refuse(portal, "%s: text takes %s with a portal_url of %d characters and the practice's name, and %lld is the "
                  "most; write it shorter or with other letters, or change the setting text_segments", name, words,
                  (int)strlen(sample_url(portal)), most);
}

static int wording_store(struct portal *portal, const struct wording *wording)
{
    const struct template_source *source = &wording->source;
    struct template_rules rules;
    char name[NAME_SIZE];
    char problem[TEMPLATE_PROBLEM_SIZE];
    int code = SQLITE_OK;

    (void)wording_name(wording, name);
    kind_rules(wording->kind, wording->medium, &rules);
    if (!template_check(&rules, source, problem)) return refuse(portal, "%s: %s", name, problem);
    if (wording->medium == MEDIUM_TEXT) code = segments_check(portal, wording, name);
    if (code != SQLITE_OK) return code;
    code = statement_run(portal, store_wording, "ssssssi", wording->kind->name, medium_name(wording->medium),
                         wording->language, source->subject, source->text, source->html, connection_now(portal));
    return code == SQLITE_OK ? audit_write(portal, "template.edited", NULL, name, NULL) : code;
}

/* The texts that are given, instead of those that the wording has; then it is stored. */
static int texts_store(struct portal *portal, struct wording wording, sqlite3_value **column)
{
    static const char *const names[] = {"subject", "text", "html"};
    const char **texts[WORDING_PARTS] = {&wording.source.subject, &wording.source.text, &wording.source.html};
    char *given[WORDING_PARTS] = {NULL};
    int code = SQLITE_OK;

    for (int i = 0; i < WORDING_PARTS && code == SQLITE_OK; i++) {
        if (sqlite3_value_nochange(column[SUBJECT + i])) continue;
        code = text_take(portal, column[SUBJECT + i], names[i], &given[i]);
        *texts[i] = given[i];
    }
    if (code == SQLITE_OK) code = wording_store(portal, &wording);
    for (int i = 0; i < WORDING_PARTS; i++) sqlite3_free(given[i]);
    return code;
}

static const char *value_string(sqlite3_value *value)
{
    const char *text = (const char *)sqlite3_value_text(value);

    return text == NULL ? "" : text;
}

static int row_insert(struct portal *portal, struct wording *first, sqlite3_value **column)
{
    const char *kind = value_string(column[KIND]);
    const char *channel = value_string(column[CHANNEL]);
    struct wording wording = {.kind = kind_find(kind), .medium = medium_from_name(channel)};

    if (wording.kind == NULL) {
        return refuse(portal, "there is no kind of message '%.40s'; SELECT DISTINCT kind FROM portal_template "
                      "lists them", kind);
    }
    if (strcmp(medium_name(wording.medium), channel) != 0 || (wording.kind->media & (int)wording.medium) == 0) {
        return refuse(portal, "%s does not go by '%.40s'; SELECT DISTINCT channel FROM portal_template WHERE kind = '%s' "
                      "lists how it does", kind, channel, kind);
    }
    wording_language(value_string(column[LANGUAGE]), wording.language);
    if (wording.language[0] == '\0') {
        return refuse(portal, "language '%.40s' is no language tag such as en, es or es-mx",
                      value_string(column[LANGUAGE]));
    }
    if (wording_of(first, wording.kind, wording.medium, wording.language) != NULL &&
        sqlite3_vtab_on_conflict(portal->db) != SQLITE_REPLACE) {
        return refuse(portal, "there is a template for %s by %s in %s; UPDATE it", kind, channel, wording.language);
    }
    return texts_store(portal, wording, column);
}

/* UPDATE ... FROM hands all columns over, those that it does not set as they are. */
static bool is_same(sqlite3_value *value, const char *text)
{
    return sqlite3_value_nochange(value) || strcmp(value_string(value), text) == 0;
}

static int row_update(struct portal *portal, const struct wording *wording, sqlite3_value **column)
{
    struct computed computed;
    int code = computed_fill(portal, wording, &computed);

    if (code != SQLITE_OK) return code;
    if (!is_same(column[KIND], wording->kind->name) || !is_same(column[CHANNEL], medium_name(wording->medium)) ||
        !is_same(column[LANGUAGE], wording->language) || !is_same(column[EDITED], computed.edited) ||
        !is_same(column[SEGMENTS], computed.segments)) {
        return refuse(portal, "only subject, text and html can be set; INSERT a template for another language");
    }
    return texts_store(portal, *wording, column);
}

static int row_delete(struct portal *portal, const struct wording *wording)
{
    char name[NAME_SIZE];
    int code = SQLITE_OK;

    if (wording->edited_at == 0) return SQLITE_OK;
    code = statement_run(portal, delete_wording, "sss", wording->kind->name, medium_name(wording->medium),
                         wording->language);
    if (code != SQLITE_OK) return code;
    return audit_write(portal, "template.restored", NULL, wording_name(wording, name), NULL);
}

int wording_table_update(struct portal *portal, int argc, sqlite3_value **argv)
{
    struct scope scope = {.within = true, .changes = sqlite3_total_changes64(portal->db)};
    struct wording *first = NULL;
    struct wording *wording;
    int code = connection_enter(portal);

    if (code == SQLITE_OK) code = wording_list(portal, &first);
    if (code != SQLITE_OK) return code;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return scope_end(portal, &scope, row_insert(portal, first, argv + 2));
    for (wording = first; wording != NULL && wording_id(wording) != sqlite3_value_int64(argv[0]);) {
        wording = wording->next;
    }
    /* Another row of the same statement can have taken it away. */
    if (wording == NULL) return SQLITE_OK;
    code = argc == 1 ? row_delete(portal, wording) : row_update(portal, wording, argv + 2);
    return scope_end(portal, &scope, code);
}

/* The self-check */

static int stored_check(struct cursor *cursor)
{
    struct portal *portal = cursor->portal;
    sqlite3_stmt *row = NULL;
    int code = statement_row(portal, &row, wording_rows, "");

    while (code == SQLITE_ROW) {
        char problem[TEMPLATE_PROBLEM_SIZE];
        struct wording wording;
        code = SQLITE_OK;
        if (!wording_from_row(row, &wording, problem)) {
            char *subject = sqlite3_mprintf("%s.%s.%s: %s", statement_string(row, 0), statement_string(row, 1),
                                            statement_string(row, 2), problem);
            code = subject == NULL ? fault(portal, SQLITE_NOMEM)
                   : table_add(cursor, "a template is not used, because it does not fit", subject,
                               "delete it from portal_wording, and write it through portal_template");
            sqlite3_free(subject);
        }
        if (code == SQLITE_OK) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int wording_table_check(struct cursor *cursor)
{
    struct portal *portal = cursor->portal;
    struct wording *wording = NULL;
    int code = stored_check(cursor);

    if (code == SQLITE_OK) code = wording_list(portal, &wording);
    for (; wording != NULL && code == SQLITE_OK; wording = wording->next) {
        char subject[NAME_SIZE + WORDS_SIZE + 2];
        char words[WORDS_SIZE];
        char name[NAME_SIZE];
        int segments = 0;
        if (wording->medium != MEDIUM_TEXT) continue;
        code = segments_of(portal, wording, &segments, words);
        if (code != SQLITE_OK || segments <= setting_number(portal, SETTING_text_segments)) continue;
        (void)sqlite3_snprintf((int)sizeof subject, subject, "%s: %s", wording_name(wording, name), words);
        code = table_add(cursor, "a text message takes more segments than text_segments allows", subject,
                         "write its template or practice_name shorter or with other letters, or change the setting text_segments");
    }
    return code;
}
