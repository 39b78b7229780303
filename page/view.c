#include "view.h"

#include "page_files.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 8, NAME_SIZE = 80, TEXTS_MOST = 400 };

struct texts {
    const char *language;
    char *bytes;                   /* what the rows point into */
    int count;
    struct text { const char *key; const char *text; } row[TEXTS_MOST];
};

static struct texts all_texts[] = {{.language = "en"}, {.language = "es"}};
enum { LANGUAGES = sizeof all_texts / sizeof all_texts[0] };

/* Values as they are looked up: the innermost first. */
struct scope {
    const cJSON *value;
    const struct scope *outer;
};

struct view {
    sqlite3_str *out;
    const struct texts *texts;
    int depth;                     /* of templates in templates */
};

/* Values that there was no memory for: what lacks one is not shown. */
static _Thread_local bool values_lack;

static void *value_allocate(size_t size)
{
    void *bytes = sqlite3_malloc64(size);

    if (bytes == NULL) values_lack = true;
    return bytes;
}

/* Among them are sessions, and what is in the chart. */
static void value_free(void *bytes)
{
    if (bytes != NULL) sodium_memzero(bytes, (size_t)sqlite3_msize(bytes));
    sqlite3_free(bytes);
}

/* Texts: "key = text", a line each; "#" begins a comment */

static int by_key(const void *left, const void *right)
{
    return strcmp(((const struct text *)left)->key, ((const struct text *)right)->key);
}

static void line_take(struct texts *texts, char *line)
{
    char *equals = strstr(line, " = ");

    if (*line == '#' || equals == NULL || texts->count == TEXTS_MOST) return;
    *equals = '\0';
    texts->row[texts->count++] = (struct text){line, equals + 3};
}

static bool texts_read(struct texts *texts)
{
    char name[32];
    char *rest = NULL;

    (void)sqlite3_snprintf(sizeof name, name, "texts.%s", texts->language);
    texts->bytes = sqlite3_mprintf("%s", page_files_find(name));
    if (texts->bytes == NULL) return false;
    for (char *line = strtok_r(texts->bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        line_take(texts, line);
    }
    qsort(texts->row, (size_t)texts->count, sizeof texts->row[0], by_key);
    return true;
}

bool view_begin(void)
{
    cJSON_Hooks hooks = {value_allocate, value_free};

    cJSON_InitHooks(&hooks);
    for (int i = 0; i < LANGUAGES; i++) {
        if (!texts_read(&all_texts[i])) return false;
    }
    return true;
}

void view_end(void)
{
    for (int i = 0; i < LANGUAGES; i++) sqlite3_free(all_texts[i].bytes);
}

const struct texts *texts_find(const char *language)
{
    for (int i = 0; i < LANGUAGES; i++) {
        if (strcmp(all_texts[i].language, language) == 0) return &all_texts[i];
    }
    return NULL;
}

const char *texts_get(const struct texts *texts, const char *key)
{
    struct text sought = {key, NULL};
    const struct text *found = bsearch(&sought, texts->row, (size_t)texts->count, sizeof sought, by_key);

    return found == NULL ? NULL : found->text;
}

/* Values */

static void name_copy(char out[NAME_SIZE], const char *name, size_t length)
{
    if (length >= NAME_SIZE) length = NAME_SIZE - 1;
    memcpy(out, name, length);
    out[length] = '\0';
}

/* "practice.name": a member of a member; "." is the innermost value itself. */
static const cJSON *value_find(const struct scope *scope, const char *name)
{
    char first[NAME_SIZE];
    const cJSON *value = NULL;
    size_t length = strcspn(name, ".");

    if (strcmp(name, ".") == 0) return scope->value;
    name_copy(first, name, length);
    for (; scope != NULL && value == NULL; scope = scope->outer) {
        value = cJSON_GetObjectItemCaseSensitive(scope->value, first);
    }
    for (name += length; *name == '.' && value != NULL; name += length) {
        name++;
        length = strcspn(name, ".");
        name_copy(first, name, length);
        value = cJSON_GetObjectItemCaseSensitive(value, first);
    }
    return value;
}

static bool value_is_there(const cJSON *value)
{
    if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value)) return false;
    return !cJSON_IsString(value) || *value->valuestring != '\0';
}

/* HTML 5: these five are enough within text and within quoted attributes. */
static void escaped_append(sqlite3_str *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': sqlite3_str_appendall(out, "&amp;"); break;
        case '<': sqlite3_str_appendall(out, "&lt;"); break;
        case '>': sqlite3_str_appendall(out, "&gt;"); break;
        case '"': sqlite3_str_appendall(out, "&quot;"); break;
        case '\'': sqlite3_str_appendall(out, "&#39;"); break;
        default: sqlite3_str_appendchar(out, 1, *text);
        }
    }
}

static void value_append(sqlite3_str *out, const cJSON *value)
{
    if (cJSON_IsString(value)) escaped_append(out, value->valuestring);
    else if (cJSON_IsNumber(value)) sqlite3_str_appendf(out, "%lld", (sqlite3_int64)value->valuedouble);
}

/* Templates */

static const char *template_write(struct view *view, const char *at, const struct scope *scope, bool shown);

static void whole_write(struct view *view, const char *template, const struct scope *scope)
{
    if (template == NULL || view->depth == DEPTH_MOST) return;
    view->depth++;
    (void)template_write(view, template, scope, true);
    view->depth--;
}

static void text_write(struct view *view, const char *key, const struct scope *scope)
{
    whole_write(view, texts_get(view->texts, key), scope);
}

/* "reason:code": the text "reason.pin" when code is "pin"; where there is none, the text "reason". */
static void text_of_value_write(struct view *view, const char *name, const struct scope *scope)
{
    char key[2 * NAME_SIZE];
    int length = (int)strcspn(name, ":");
    const cJSON *value = value_find(scope, name + length + 1);

    if (!cJSON_IsString(value)) return;
    (void)sqlite3_snprintf(sizeof key, key, "%.*s.%s", length, name, value->valuestring);
    if (texts_get(view->texts, key) == NULL) key[length] = '\0';
    text_write(view, key, scope);
}

static void name_write(struct view *view, const char *name, const struct scope *scope)
{
    char file[NAME_SIZE];

    if (strncmp(name, "t.", 2) == 0) {
        if (strchr(name, ':') == NULL) text_write(view, name + 2, scope);
        else text_of_value_write(view, name + 2, scope);
    } else if (*name == '>') {
        const char *template = name[1] == '>' ? cJSON_GetStringValue(value_find(scope, name + 2)) : name + 1;
        (void)sqlite3_snprintf(sizeof file, file, "%s.html", template);
        whole_write(view, page_files_find(file), scope);
    } else {
        value_append(view->out, value_find(scope, name));
    }
}

/* From after {{#name}} or {{^name}} to after {{/name}}, which is returned. */
static const char *section_write(struct view *view, const char *at, const char *name, const struct scope *scope,
                                 bool shown)
{
    const cJSON *value = shown ? value_find(scope, name + 1) : NULL;
    bool there = value_is_there(value);
    const char *end = NULL;

    if (*name == '^') return template_write(view, at, scope, shown && !there && !(cJSON_IsArray(value) && value->child != NULL));
    if (cJSON_IsArray(value)) {
        for (const cJSON *item = value->child; item != NULL; item = item->next) {
            struct scope inner = {item, scope};
            end = template_write(view, at, &inner, shown);
        }
        return end != NULL ? end : template_write(view, at, scope, false);
    }
    if (there && cJSON_IsObject(value)) {
        struct scope inner = {value, scope};
        return template_write(view, at, &inner, shown);
    }
    return template_write(view, at, scope, shown && there);
}

/* Up to {{/...}} or the end; what comes after it is returned. */
static const char *template_write(struct view *view, const char *at, const struct scope *scope, bool shown)
{
    const char *open;

    while ((open = strstr(at, "{{")) != NULL) {
        const char *close = strstr(open, "}}");
        char name[NAME_SIZE];
        if (close == NULL) break;
        if (shown) sqlite3_str_append(view->out, at, (int)(open - at));
        name_copy(name, open + 2, (size_t)(close - open - 2));
        at = close + 2;
        if (*name == '/') return at;
        if (*name == '#' || *name == '^') at = section_write(view, at, name, scope, shown);
        else if (shown) name_write(view, name, scope);
    }
    if (shown) sqlite3_str_appendall(view->out, at);
    return at + strlen(at);
}

char *view_render(const char *name, const struct texts *texts, const cJSON *values)
{
    struct view view = {sqlite3_str_new(NULL), texts, 0};
    struct scope scope = {values, NULL};
    char *page;

    whole_write(&view, page_files_find(name), &scope);
    page = sqlite3_str_finish(view.out);
    if (values_lack) {
        sqlite3_free(page);
        page = NULL;
    }
    values_lack = false;
    return page;
}
