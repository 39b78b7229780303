#include "message.h"

#include "calendar.h"
#include "embedded.h"
#include "kind.h"
#include "mail.h"
#include "segment.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 8, VALUE_SIZE = 512 };

/* What the placeholders of a template stand for. */
struct values {
    int count;
    struct {
        const char *name;
        char text[VALUE_SIZE];
    } value[VALUE_MAX];
};

static char *value_add(struct values *values, const char *name)
{
    values->value[values->count].name = name;
    return values->value[values->count++].text;
}

/* One of them is the link or the PIN. */
static void values_clear(struct values *values)
{
    for (int i = 0; i < values->count; i++) {
        sodium_memzero(values->value[i].text, strlen(values->value[i].text));
    }
}

static const char *value_find(const struct values *values, const char *name, size_t length)
{
    for (int i = 0; i < values->count; i++) {
        const char *own = values->value[i].name;
        if (strncmp(own, name, length) == 0 && own[length] == '\0') return values->value[i].text;
    }
    return "";
}

static int nonce_read(struct portal *portal, const char *sql, sqlite3_int64 id, uint8_t *nonce)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, sql, "i", id);

    if (code == SQLITE_DONE) return fail(portal, "message %lld has lost what it carries", id);
    if (code != SQLITE_ROW) return code;
    code = SQLITE_OK;
    if (sqlite3_column_bytes(statement, 0) == TOKEN_NONCE_SIZE) {
        memcpy(nonce, sqlite3_column_blob(statement, 0), TOKEN_NONCE_SIZE);
    } else {
        code = fail(portal, "message %lld has lost what it carries", id);
    }
    statement_done(portal, statement);
    return code;
}

/* Derives the link or the PIN of a message. */
static int secret_add(struct portal *portal, const struct outbox_message *row,
                      const struct kind *kind, struct values *values)
{
    const struct keyring *keyring = NULL;
    struct token token = {.id = (uint32_t)row->message_id};
    char text[TOKEN_SIZE];
    int code = connection_key(portal, &keyring);

    if (code == SQLITE_OK) code = nonce_read(portal, kind->nonce, row->message_id, token.nonce);
    if (code != SQLITE_OK) return code;
    token.generation = keyring_newest_generation(keyring);
    if (kind->path == NULL) {
        token_pin(keyring_newest(keyring), &token, value_add(values, "pin"));
        return SQLITE_OK;
    }
    token_derive(keyring_newest(keyring), kind->purpose, &token, text);
    (void)sqlite3_snprintf(VALUE_SIZE, value_add(values, "link"), "%s%s%s",
                           setting_text(portal, SETTING_portal_url), kind->path, text);
    sodium_memzero(text, sizeof text);
    return SQLITE_OK;
}

static int values_fill(struct portal *portal, const struct outbox_message *row,
                       struct values *values)
{
    const struct kind *kind = kind_find(row->kind);
    const char *name = setting_text(portal, SETTING_practice_name);
    const char *phone = setting_text(portal, SETTING_practice_phone);

    (void)sqlite3_snprintf(VALUE_SIZE, value_add(values, "practice_name"), "%s", name);
    (void)sqlite3_snprintf(VALUE_SIZE, value_add(values, "practice"),
                           *phone == '\0' ? "%s" : "%s, %s", name, phone);
    if (kind == NULL || kind->nonce == NULL) return SQLITE_OK;
    (void)sqlite3_snprintf(VALUE_SIZE,
                           value_add(values, kind->purpose == TOKEN_LINK ? "hours" : "minutes"),
                           "%lld", setting_number(portal, kind->lifetime));
    return secret_add(portal, row, kind, values);
}

/*
** Where an expansion goes; it is measured first, with `at` NULL, and then written: a buffer that grew
** would leave pieces of links and PINs behind in freed memory.
*/
struct writer {
    char *at;
    size_t length;
};

static void put(struct writer *out, const char *text, size_t length)
{
    if (out->at != NULL && length > 0) memcpy(out->at + out->length, text, length);
    out->length += length;
}

static void put_escaped(struct writer *out, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

    while (*text != '\0') {
        size_t plain = strcspn(text, special);
        put(out, text, plain);
        text += plain;
        if (*text == '\0') return;
        plain = (size_t)(strchr(special, *text++) - special);
        put(out, escapes[plain], strlen(escapes[plain]));
    }
}

/* The next "{{"; `end` when there is none. */
static const char *next_open(const char *at, const char *end)
{
    while (at < end && (at = memchr(at, '{', (size_t)(end - at))) != NULL && at[1] != '{') at++;
    return at == NULL ? end : at;
}

static void fill_in(struct writer *out, const char *template, size_t length,
                    const struct values *values, bool html)
{
    const char *end = template + length;

    out->length = 0;
    while (template < end) {
        const char *open = next_open(template, end);
        const char *close = open == end ? NULL : strstr(open, "}}");
        const char *value;
        if (close == NULL || close > end) break;
        put(out, template, (size_t)(open - template));
        value = value_find(values, open + 2, (size_t)(close - open) - 2);
        if (html) {
            put_escaped(out, value);
        } else {
            put(out, value, strlen(value));
        }
        template = close + 2;
    }
    put(out, template, (size_t)(end - template));
}

/* Fills in a part of a template.  NULL without memory. */
static char *expand(const char *template, size_t length, const struct values *values, bool html)
{
    struct writer out = {NULL, 0};

    fill_in(&out, template, length, values, html);
    out.at = sqlite3_malloc64(out.length + 1);
    if (out.at == NULL) return NULL;
    fill_in(&out, template, length, values, html);
    out.at[out.length] = '\0';
    return out.at;
}

/* Where the parts of a template are. */
struct parts {
    const char *subject, *text, *html;
    size_t subject_length, text_length, html_length;
};

/* A text message is its text; mail has a subject line, an empty line, the text, "---" and HTML. */
static bool parts_find(const char *template, bool mail, struct parts *parts)
{
    static const char field[] = "Subject: ";
    const char *blank = strstr(template, "\n\n");
    const char *rule = strstr(template, "\n---\n");

    memset(parts, 0, sizeof *parts);
    if (!mail) {
        parts->subject = "";
        parts->text = template;
        parts->text_length = strlen(template);
        return true;
    }
    if (strncmp(template, field, sizeof field - 1) != 0 || blank == NULL || rule == NULL ||
        rule < blank) {
        return false;
    }
    parts->subject = template + sizeof field - 1;
    parts->subject_length = (size_t)(blank - parts->subject);
    parts->text = blank + 2;
    parts->text_length = (size_t)(rule + 1 - parts->text);
    parts->html = rule + 5;
    parts->html_length = strlen(parts->html);
    return true;
}

/* RFC 5322 section 3.6.4; the same at every try, and another one in every database. */
static int header_write(struct portal *portal, const struct outbox_message *row, char *out, int size)
{
    const struct keyring *keyring = NULL;
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const char *from = setting_text(portal, SETTING_mail_from);
    const char *domain = strrchr(from, '@');
    sqlite3_int64 about[2] = {row->message_id, row->created_at};
    int code = connection_key(portal, &keyring);

    if (code != SQLITE_OK) return code;
    /* RFC 6532 section 3.3 would have it ASCII, and what is cut off would be no domain. */
    if (domain == NULL || domain[1 + strspn(domain + 1, plain)] != '\0' || strlen(domain) > 80) {
        domain = "@localhost";
    }
    (void)sqlite3_snprintf(size, out, "<%lld.%016llx%s>", row->message_id,
                           (unsigned long long)keyring_fingerprint(keyring, FINGERPRINT_MESSAGE,
                                                                   about, sizeof about),
                           domain);
    return SQLITE_OK;
}

static void outgoing_fill(struct portal *portal, const struct outbox_message *row,
                          struct message *message)
{
    portal_outgoing *outgoing = &message->outgoing;

    outgoing->message_id = row->message_id;
    outgoing->kind = row->kind;
    outgoing->serves = (int)row->medium;
    outgoing->recipient = row->recipient;
    outgoing->sender = setting_text(portal, SETTING_mail_from);
    outgoing->sender_name = setting_text(portal, SETTING_practice_name);
    outgoing->subject = message->subject;
    outgoing->text = message->text;
    outgoing->html = message->html;
    outgoing->message_id_header = message->header;
    outgoing->language = "en";
    outgoing->created_at = row->created_at;
    outgoing->attempt = row->attempts;
    if (row->medium == MEDIUM_TEXT) {
        outgoing->segments = segment_count(message->text, &outgoing->is_gsm);
    }
}

static int parts_expand(struct portal *portal, const struct parts *parts,
                        const struct values *values, struct message *message)
{
    message->subject = expand(parts->subject, parts->subject_length, values, false);
    message->text = expand(parts->text, parts->text_length, values, false);
    if (parts->html != NULL) {
        message->html = expand(parts->html, parts->html_length, values, true);
    }
    if (message->subject == NULL || message->text == NULL ||
        (parts->html != NULL && message->html == NULL)) {
        return fault(portal, SQLITE_NOMEM);
    }
    return SQLITE_OK;
}

int message_render(struct portal *portal, const struct outbox_message *row, struct message *message)
{
    char name[80];
    struct values values;
    struct parts parts;
    const char *template;
    int code;

    memset(message, 0, sizeof *message);
    values.count = 0;
    (void)sqlite3_snprintf((int)sizeof name, name, "messages/%s.%s.txt", row->kind,
                           medium_name(row->medium));
    template = embedded_find(name);
    if (template == NULL || !parts_find(template, row->medium == MEDIUM_EMAIL, &parts)) {
        return fail(portal, "there is no template %s", name);
    }
    code = values_fill(portal, row, &values);
    if (code == SQLITE_OK) code = parts_expand(portal, &parts, &values, message);
    if (code == SQLITE_OK) {
        code = header_write(portal, row, message->header, (int)sizeof message->header);
    }
    if (code == SQLITE_OK) outgoing_fill(portal, row, message);
    if (code != SQLITE_OK) message_clear(message);
    values_clear(&values);
    return code;
}

static void wipe(char *text)
{
    if (text != NULL) sodium_memzero(text, strlen(text));
    sqlite3_free(text);
}

void message_clear(struct message *message)
{
    wipe(message->subject);
    wipe(message->text);
    wipe(message->html);
    memset(message, 0, sizeof *message);
}

char *message_mail(portal_api *api, const portal_outgoing *outgoing, const char *line_end,
                   size_t *size)
{
    struct mail mail = {outgoing->sender_name, outgoing->sender, outgoing->recipient,
                        outgoing->subject, outgoing->message_id_header, outgoing->language,
                        outgoing->text, outgoing->html, outgoing->created_at};
    char *buffer = NULL;
    char *copy = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&buffer, &length);
    bool malformed;
    int written;

    (void)api;
    *size = SIZE_MAX;
    if (stream == NULL) return NULL;
    written = mail_write(&mail, line_end, stream);
    malformed = written != 0 && ferror(stream) == 0;
    if (fclose(stream) != 0) written = -1;
    if (written == 0) copy = sqlite3_malloc64(length + 1);
    if (copy != NULL) {
        memcpy(copy, buffer, length + 1);
        *size = length;
    } else if (malformed) {
        *size = 0;
    }
    if (buffer != NULL) sodium_memzero(buffer, length);
    free(buffer);
    return copy;
}
