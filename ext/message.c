#include "message.h"

#include "calendar.h"
#include "mail.h"
#include "segment.h"

#include <sodium.h>
#include <string.h>

enum { HOUR = 3600 };

static const char read_chart_language[] = "SELECT preferred_language FROM main.patient WHERE patient_id = ?1";
/* Of whom the account is for: most likely its owner's, the patient's own before those represented. */
static const char read_account_language[] =
    "SELECT p.preferred_language"
    "  FROM main.portal_message AS m JOIN main.portal_access AS a ON a.account_id = m.account_id"
    "  JOIN main.patient AS p ON p.patient_id = a.patient_id"
    " WHERE m.message_id = ?1 ORDER BY a.role = 'patient' DESC, a.access_id LIMIT 1";

/* No key derives a link of this: its last part would have to be the keyed hash of the first. */
static const char dead_token[] = "SAMPLE-LINK-THAT-OPENS-NOTHING--";
static const char dead_pin[] = "000000";

void message_wipe(struct template_values *values)
{
    for (int i = 0; i < PLACEHOLDER_COUNT; i++) sodium_memzero(values->text[i], strlen(values->text[i]));
}

static int token_read(struct portal *portal, const char *sql, sqlite3_int64 id, struct token *token)
{
    sqlite3_stmt *statement = NULL;
    int code = statement_row(portal, &statement, sql, "i", id);

    if (code == SQLITE_DONE) return fail(portal, "message %lld has lost what it carries", id);
    if (code != SQLITE_ROW) return code;
    token->id = (uint32_t)id;
    code = token_recall(token, sqlite3_column_blob(statement, 0), sqlite3_column_bytes(statement, 0))
               ? SQLITE_OK
               : fail(portal, "message %lld has lost what it carries", id);
    statement_done(portal, statement);
    return code;
}

static void link_write(const struct kind *kind, const char *url, const char *token,
                       struct template_values *values)
{
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_link], "%s%s%s", url, kind->path, token);
}

/* Derives the link or the PIN of a message. */
static int secret_add(struct portal *portal, sqlite3_int64 message_id, const struct kind *kind,
                      struct template_values *values)
{
    const uint8_t *key = NULL;
    struct token token = {.generation = 0};
    char text[TOKEN_SIZE];
    int code = token_read(portal, kind->nonce, message_id, &token);

    if (code == SQLITE_OK) code = connection_key_of(portal, token.generation, &key);
    if (code != SQLITE_OK) return code;
    if (key == NULL) return fail(portal, "message %lld was made with a key that is gone; send again", message_id);
    if (kind->path == NULL) {
        token_pin(key, &token, values->text[PLACEHOLDER_pin]);
        return SQLITE_OK;
    }
    token_derive(key, kind->purpose, &token, text);
    link_write(kind, setting_text(portal, SETTING_portal_url), text, values);
    sodium_memzero(text, sizeof text);
    return SQLITE_OK;
}

/* All but what one message alone carries. */
static void values_fill(struct portal *portal, const struct kind *kind, struct template_values *values)
{
    const char *name = setting_text(portal, SETTING_practice_name);
    const char *phone = setting_text(portal, SETTING_practice_phone);
    enum placeholder lifetime = kind->purpose == TOKEN_LINK ? PLACEHOLDER_hours : PLACEHOLDER_minutes;

    template_values_clear(values);
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_practice_name], "%s", name);
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_practice],
                           *phone == '\0' ? "%s" : "%s, %s", name, phone);
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_practice_phone], "%s", phone);
    /* The poster's is the portal itself. */
    if (kind->nonce == NULL && kind->path != NULL) link_write(kind, setting_text(portal, SETTING_portal_url), "", values);
    if (kind->lifetime == SETTING_COUNT) return;
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[lifetime], "%lld", setting_number(portal, kind->lifetime));
}

void message_sample(struct portal *portal, const struct kind *kind, const char *url,
                    struct template_values *values)
{
    values_fill(portal, kind, values);
    if (kind->nonce == NULL) return;
    if (kind->path != NULL) {
        link_write(kind, url, dead_token, values);
    } else {
        (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_pin], "%s", dead_pin);
    }
}

/* What a letter says besides. */
static void letter_fill(const struct patient *patient, sqlite3_int64 until, struct template_values *values)
{
    char local[CALENDAR_TIME_SIZE];

    calendar_local(until, local);
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_until], "%s", local);
    (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values->text[PLACEHOLDER_patient_name], "%s%s%s", patient->first_name,
                           patient->first_name[0] == '\0' ? "" : " ", patient->last_name);
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
    outgoing->language = message->language;
    outgoing->created_at = row->created_at;
    outgoing->attempt = row->attempts;
    if (row->medium == MEDIUM_TEXT) {
        outgoing->segments = segment_count(message->text, &outgoing->is_gsm);
    }
}

static int parts_fill(struct portal *portal, const struct wording *wording,
                      const struct template_values *values, struct message *message)
{
    char **const texts[WORDING_PARTS] = {&message->subject, &message->text, &message->html};
    int count = wording->source.html == NULL ? WORDING_HTML : WORDING_PARTS;
    size_t length[WORDING_PARTS] = {0};
    char *at;

    for (int i = 0; i < count; i++) {
        length[i] = template_length(&wording->part[i], values);
        message->size += length[i] + 1;
    }
    at = sqlite3_malloc64(message->size);
    if (at == NULL) return fault(portal, SQLITE_NOMEM);
    for (int i = 0; i < count; i++) {
        *texts[i] = at;
        template_write(&wording->part[i], values, at);
        at[length[i]] = '\0';
        at += length[i] + 1;
    }
    (void)sqlite3_snprintf(LANGUAGE_SIZE, message->language, "%s", wording->language);
    return SQLITE_OK;
}

/* As the chart has it; "" when nobody is known. */
static int language_read(struct portal *portal, const struct outbox_message *row, char out[PATIENT_SHORT_SIZE])
{
    sqlite3_stmt *statement = NULL;
    int code = row->has_patient ? statement_row(portal, &statement, read_chart_language, "p", &row->patient)
                                : statement_row(portal, &statement, read_account_language, "i", row->message_id);

    out[0] = '\0';
    if (code == SQLITE_ROW) statement_text(statement, 0, out, PATIENT_SHORT_SIZE);
    statement_done(portal, statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int row_render(struct portal *portal, const struct outbox_message *row, const struct kind *kind,
                      struct template_values *values, struct message *message)
{
    const struct wording *wording = NULL;
    char language[PATIENT_SHORT_SIZE];
    int code = language_read(portal, row, language);

    if (code == SQLITE_OK) code = wording_find(portal, kind, row->medium, language, &wording);
    if (code == SQLITE_OK && kind->nonce != NULL) code = secret_add(portal, row->message_id, kind, values);
    if (code == SQLITE_OK) code = parts_fill(portal, wording, values, message);
    if (code == SQLITE_OK) {
        code = header_write(portal, row, message->header, (int)sizeof message->header);
    }
    if (code == SQLITE_OK) outgoing_fill(portal, row, message);
    return code;
}

int message_render(struct portal *portal, const struct outbox_message *row, struct message *message)
{
    const struct kind *kind = kind_find(row->kind);
    struct template_values values;
    int code;

    memset(message, 0, sizeof *message);
    if (kind == NULL) return fail(portal, "there is no kind of message %s", row->kind);
    values_fill(portal, kind, &values);
    code = row_render(portal, row, kind, &values, message);
    if (code != SQLITE_OK) message_clear(message);
    message_wipe(&values);
    return code;
}

int message_letter(struct portal *portal, const struct outbox_message *row, sqlite3_int64 pin_id,
                   const struct patient *patient, sqlite3_int64 until, struct template_values *values,
                   struct message *message)
{
    const struct kind *kind = kind_find(row->kind);
    int code;

    memset(message, 0, sizeof *message);
    values_fill(portal, kind, values);
    letter_fill(patient, until, values);
    code = secret_add(portal, pin_id, kind_find("pin"), values);
    return code == SQLITE_OK ? row_render(portal, row, kind, values, message) : code;
}

int message_poster(struct portal *portal, const char *language, struct template_values *values, struct message *message)
{
    const struct kind *kind = kind_find("poster");
    const struct wording *wording = NULL;
    int code = wording_find(portal, kind, MEDIUM_PRINT, language, &wording);

    memset(message, 0, sizeof *message);
    values_fill(portal, kind, values);
    return code == SQLITE_OK ? parts_fill(portal, wording, values, message) : code;
}

int message_preview(struct portal *portal, const char *kind_name, const struct patient_id *id,
                    enum medium medium, char **text)
{
    const struct kind *kind = kind_find(kind_name);
    const struct wording *wording = NULL;
    struct outbox_message row = {.has_patient = true};
    char language[PATIENT_SHORT_SIZE];
    struct template_values values;
    struct message message;
    struct patient patient;
    int code;

    *text = NULL;
    memset(&message, 0, sizeof message);
    if (kind == NULL) {
        return refuse(portal, "there is no kind of message '%.40s'; SELECT DISTINCT kind FROM portal_template "
                      "lists them", kind_name);
    }
    code = patient_read(portal, id, &patient);
    if (code != SQLITE_OK) return code;
    row.patient = patient.id;
    code = language_read(portal, &row, language);
    if (code == SQLITE_OK) code = wording_find(portal, kind, medium, language, &wording);
    if (code != SQLITE_OK) return code;
    message_sample(portal, kind, setting_text(portal, SETTING_portal_url), &values);
    if (medium == MEDIUM_PRINT) {
        letter_fill(&patient, connection_now(portal) + setting_number(portal, SETTING_link_hours) * HOUR, &values);
        (void)sqlite3_snprintf(TEMPLATE_VALUE_SIZE, values.text[PLACEHOLDER_pin], "%s", dead_pin);
    }
    code = parts_fill(portal, wording, &values, &message);
    if (code == SQLITE_OK) {
        *text = medium == MEDIUM_TEXT ? sqlite3_mprintf("%s", message.text)
                                      : sqlite3_mprintf("Subject: %s\n\n%s", message.subject, message.text);
        if (*text == NULL) code = fault(portal, SQLITE_NOMEM);
    }
    message_clear(&message);
    return code;
}

void message_clear(struct message *message)
{
    if (message->subject != NULL) sodium_memzero(message->subject, message->size);
    sqlite3_free(message->subject);
    memset(message, 0, sizeof *message);
}

char *message_mail(portal_api *api, const portal_outgoing *outgoing, const char *line_end,
                   size_t *size)
{
    struct mail mail = {outgoing->sender_name, outgoing->sender, outgoing->recipient,
                        outgoing->subject, outgoing->message_id_header, outgoing->language,
                        outgoing->text, outgoing->html, outgoing->created_at};
    char *bytes = mail_write(&mail, line_end, size);
    char *copy;

    (void)api;
    if (bytes == NULL) return NULL;
    copy = sqlite3_malloc64(*size + 1);
    if (copy != NULL) memcpy(copy, bytes, *size + 1);
    mail_free(bytes, *size);
    if (copy == NULL) *size = SIZE_MAX;
    return copy;
}
