#include "wording.h"

#include "embedded.h"
#include "normalize.h"

#include <string.h>

const char wording_rows[] =
    "SELECT kind, channel, language, subject, text, html, edited_at FROM main.portal_wording";

void wording_clear(struct portal *portal)
{
    while (portal->wordings.first != NULL) {
        struct wording *wording = portal->wordings.first;
        portal->wordings.first = wording->next;
        sqlite3_free(wording->owned);
        sqlite3_free(wording->part);
        sqlite3_free(wording);
    }
}

#define WORD_ENDS " (,;/"

/* The tag of what charts have instead of one: ISO 639-2 codes and names, "Español (México)"; else `text`. */
static const char *language_named(const char *text)
{
    static const struct { const char *name; const char *tag; } others[] = {
        {"spa", "es"}, {"spanish", "es"}, {"espanol", "es"}, {"castilian", "es"}, {"castellano", "es"},
        {"eng", "en"}, {"english", "en"}, {"ingles", "en"},
    };
    char word[40];
    char name[sizeof word];

    (void)sqlite3_snprintf((int)sizeof word, word, "%.*s", (int)strcspn(text, WORD_ENDS), text);
    if (normalize_name(word, name, sizeof name) != 0) return text;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i].name, name) == 0) return others[i].tag;
    }
    return text;
}

void wording_language(const char *text, char language[LANGUAGE_SIZE])
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length;
    size_t first = 0;
    char *cut;

    text += strspn(text, " ");
    if (strcspn(text, WORD_ENDS) > 2) text = language_named(text);
    length = strcspn(text, WORD_ENDS);
    (void)sqlite3_snprintf(LANGUAGE_SIZE, language, "%.*s", (int)length, text);
    for (char *at = language; *at != '\0'; at++) {
        if (*at == '_') *at = '-';
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
    }
    /* What was cut off in its middle is no subtag. */
    cut = length < LANGUAGE_SIZE ? NULL : strrchr(language, '-');
    if (cut != NULL) *cut = '\0';
    while (language[first] >= 'a' && language[first] <= 'z') first++;
    if (first < 2 || first > 3 || strchr("-", language[first]) == NULL || language[strspn(language, characters)] != '\0') {
        language[0] = '\0';
    }
}

static struct wording *wording_add(struct portal *portal, const struct wording *wording)
{
    struct wording *added = sqlite3_malloc(sizeof *added);

    if (added == NULL) return NULL;
    *added = *wording;
    added->next = portal->wordings.first;
    portal->wordings.first = added;
    return added;
}

/* The kind, medium and language of "messages/pin.text.es.txt"; false for a file that is none. */
static bool name_read(const char *file, struct wording *wording)
{
    static const char folder[] = "messages/";
    char name[64];
    char *channel;
    char *language;

    if (strncmp(file, folder, sizeof folder - 1) != 0) return false;
    (void)sqlite3_snprintf((int)sizeof name, name, "%s", file + sizeof folder - 1);
    channel = strchr(name, '.');
    language = channel == NULL ? NULL : strchr(channel + 1, '.');
    if (language == NULL) return false;
    *channel++ = '\0';
    *language++ = '\0';
    wording->kind = kind_find(name);
    wording->medium = medium_from_name(channel);
    (void)sqlite3_snprintf(LANGUAGE_SIZE, wording->language, "%.*s", (int)strcspn(language, "."), language);
    return wording->kind != NULL;
}

/* Cuts the copy of a file into its parts; false when it lacks one. */
static bool parts_cut(struct wording *wording)
{
    static const char field[] = "Subject: ";
    char *blank = strstr(wording->owned, "\n\n");
    char *rule = strstr(wording->owned, "\n---\n");
    bool mail = wording->medium == MEDIUM_EMAIL;

    wording->source.text = wording->owned;
    if (wording->medium == MEDIUM_TEXT) return true;
    if (strncmp(wording->owned, field, sizeof field - 1) != 0 || blank == NULL ||
        (mail && (rule == NULL || rule < blank))) {
        return false;
    }
    wording->source.subject = wording->owned + sizeof field - 1;
    *blank = '\0';
    wording->source.text = blank + 2;
    if (!mail) return true;
    rule[1] = '\0';
    wording->source.html = rule + 5;
    return true;
}

static int shipped_load(struct portal *portal)
{
    for (const struct embedded *file = embedded_files; file->name != NULL; file++) {
        struct wording wording = {.edited_at = 0};
        if (!name_read(file->name, &wording)) continue;
        wording.owned = sqlite3_mprintf("%s", file->text);
        if (wording.owned == NULL || !parts_cut(&wording) || wording_add(portal, &wording) == NULL) {
            sqlite3_free(wording.owned);
            return fault(portal, SQLITE_NOMEM);
        }
    }
    return SQLITE_OK;
}

/* A text column, NULL for NULL; what can not be text, with a NUL in it say, is "\001", which no check passes. */
static const char *text_or_null(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    if (text == NULL) return NULL;
    return strlen(text) == (size_t)sqlite3_column_bytes(row, column) ? text : "\001";
}

bool wording_from_row(sqlite3_stmt *row, struct wording *wording, char problem[TEMPLATE_PROBLEM_SIZE])
{
    struct template_rules rules;
    const char *language = statement_string(row, 2);

    memset(wording, 0, sizeof *wording);
    wording->kind = kind_find(statement_string(row, 0));
    wording->medium = medium_from_name(statement_string(row, 1));
    wording_language(language, wording->language);
    wording->source.subject = text_or_null(row, 3);
    wording->source.text = text_or_null(row, 4);
    wording->source.html = text_or_null(row, 5);
    wording->edited_at = sqlite3_column_int64(row, 6);
    if (wording->kind == NULL || (wording->kind->media & (int)wording->medium) == 0 || strcmp(wording->language, language) != 0 || *language == '\0' ||
        strcmp(medium_name(wording->medium), statement_string(row, 1)) != 0) {
        (void)sqlite3_snprintf(TEMPLATE_PROBLEM_SIZE, problem, "it is for no message");
        return false;
    }
    kind_rules(wording->kind, wording->medium, &rules);
    return template_check(&rules, &wording->source, problem);
}

/* Takes a copy of the texts: the row's are gone with it. */
static bool texts_own(struct wording *wording)
{
    const char **texts[WORDING_PARTS] = {&wording->source.subject, &wording->source.text, &wording->source.html};
    size_t size = 0;
    char *at;

    for (int i = 0; i < WORDING_PARTS; i++) size += *texts[i] == NULL ? 0 : strlen(*texts[i]) + 1;
    wording->owned = at = sqlite3_malloc64(size);
    for (int i = 0; i < WORDING_PARTS && at != NULL; i++) {
        if (*texts[i] == NULL) continue;
        size = strlen(*texts[i]) + 1;
        *texts[i] = memcpy(at, *texts[i], size);
        at += size;
    }
    return at != NULL;
}

/* In the place of the shipped one, if there is one.  One that does not fit was put there past us: it is not used. */
static int edited_take(struct portal *portal, sqlite3_stmt *row)
{
    char problem[TEMPLATE_PROBLEM_SIZE];
    struct wording wording;
    struct wording *shipped;

    if (!wording_from_row(row, &wording, problem)) return SQLITE_OK;
    if (!texts_own(&wording)) return fault(portal, SQLITE_NOMEM);
    shipped = wording_of(portal->wordings.first, wording.kind, wording.medium, wording.language);
    if (shipped != NULL) {
        sqlite3_free(shipped->owned);
        shipped->owned = wording.owned;
        shipped->source = wording.source;
        shipped->edited_at = wording.edited_at;
    } else if (wording_add(portal, &wording) == NULL) {
        sqlite3_free(wording.owned);
        return fault(portal, SQLITE_NOMEM);
    }
    return SQLITE_OK;
}

static int edited_load(struct portal *portal)
{
    sqlite3_stmt *row = NULL;
    int code = statement_row(portal, &row, wording_rows, "");

    while (code == SQLITE_ROW) {
        code = edited_take(portal, row);
        if (code == SQLITE_OK) code = statement_next(portal, row);
    }
    statement_done(portal, row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int wording_list(struct portal *portal, struct wording **first)
{
    int code = SQLITE_OK;

    if (portal->wordings.first == NULL || portal->wordings.stamp != portal->settings.stamp) {
        wording_clear(portal);
        code = shipped_load(portal);
        if (code == SQLITE_OK) code = edited_load(portal);
        if (code != SQLITE_OK) wording_clear(portal);
        portal->wordings.stamp = portal->settings.stamp;
    }
    *first = portal->wordings.first;
    return code;
}

struct wording *wording_of(struct wording *first, const struct kind *kind, enum medium medium,
                           const char *language)
{
    while (first != NULL && (first->kind != kind || first->medium != medium ||
                             strcmp(first->language, language) != 0)) {
        first = first->next;
    }
    return first;
}

static int parse(struct portal *portal, struct wording *wording)
{
    const char *const texts[WORDING_PARTS] = {wording->source.subject, wording->source.text, wording->source.html};
    char problem[TEMPLATE_PROBLEM_SIZE];

    wording->part = sqlite3_malloc64(WORDING_PARTS * sizeof *wording->part);
    if (wording->part == NULL) return fault(portal, SQLITE_NOMEM);
    for (int i = 0; i < WORDING_PARTS; i++) {
        /* It was checked, or shipped: it can be parsed. */
        (void)template_parse(&wording->part[i], texts[i] == NULL ? "" : texts[i], i == WORDING_HTML, problem);
    }
    return SQLITE_OK;
}

int wording_find(struct portal *portal, const struct kind *kind, enum medium medium, const char *preferred,
                 const struct wording **wording)
{
    char language[LANGUAGE_SIZE];
    struct wording *first = NULL;
    struct wording *found;
    int code = wording_list(portal, &first);

    *wording = NULL;
    if (code != SQLITE_OK) return code;
    wording_language(preferred, language);
    while ((found = wording_of(first, kind, medium, language)) == NULL && strrchr(language, '-') != NULL) {
        *strrchr(language, '-') = '\0';
    }
    if (found == NULL) found = wording_of(first, kind, medium, "en");
    if (found == NULL) return refuse(portal, "%s does not go by %s", kind->name, medium_name(medium));
    *wording = found;
    return found->part == NULL ? parse(portal, found) : SQLITE_OK;
}
