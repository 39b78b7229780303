#include "print.h"

#include "channel.h"
#include "color.h"
#include "message.h"
#include "normalize.h"
#include "proof.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int print_ready(struct portal *portal)
{
    static const enum setting needed[] = {SETTING_practice_name, SETTING_practice_phone, SETTING_portal_url};
    struct channel *printer = NULL;
    char missing[80] = "";

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct setting_row row = setting_row((int)needed[i]);
        size_t used = strlen(missing);
        if (strcmp(setting_text(portal, needed[i]), row.standard) != 0) continue;
        (void)sqlite3_snprintf((int)(sizeof missing - used), missing + used, "%s%s", used == 0 ? "" : ", ", row.key);
    }
    if (missing[0] != '\0') {
        return refuse(portal, "what is printed names the practice: set %s with portal_setting(key, value), then print again",
                      missing);
    }
    return channel_for(portal, PORTAL_PRINT, &printer);
}

static int paper_check(struct portal *portal, const char **paper)
{
    if (*paper == NULL) *paper = setting_text(portal, SETTING_paper);
    if (strcmp(*paper, "A4") == 0 || strcmp(*paper, "Letter") == 0) return SQLITE_OK;
    return refuse(portal, "paper '%.40s' is neither A4 nor Letter", *paper);
}

/* Where a character stands that can not be printed: what staff can write in another way. */
static const char *place_of(const char *character, const struct template_values *values)
{
    static const struct { enum placeholder placeholder; const char *name; } places[] = {
        {PLACEHOLDER_practice_name, "the setting practice_name"}, {PLACEHOLDER_practice_phone, "the setting practice_phone"},
        {PLACEHOLDER_patient_name, "the patient's name"},
    };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *value = values->text[places[i].placeholder];
        char *composed = normalize_composed(value);
        bool found = composed != NULL && strstr(composed, character) != NULL;
        free(composed);
        if (found) return places[i].name;
    }
    return "the template";
}

static int print_refuse(struct portal *portal, const struct template_values *values, const portal_print *print)
{
    if (print->character[0] == '\0') return refuse(portal, "%s", print->wrong == NULL ? "the printer failed" : print->wrong);
    return refuse(portal, "%s has '%s', which the printer has no letter for; write it in Latin, Greek or Cyrillic letters",
                  place_of(print->character, values), print->character);
}

/* The same letters whichever way they were typed: as one, or with their accents after them. */
struct texts { char *practice, *title, *text; };

static bool texts_compose(struct portal *portal, const struct message *message, struct texts *texts)
{
    texts->practice = normalize_composed(setting_text(portal, SETTING_practice_name));
    texts->title = normalize_composed(message->subject);
    texts->text = normalize_composed(message->text);
    return texts->practice != NULL && texts->title != NULL && texts->text != NULL;
}

static void texts_free(struct texts *texts)
{
    if (texts->text != NULL) sodium_memzero(texts->text, strlen(texts->text));
    free(texts->practice);
    free(texts->title);
    free(texts->text);
}

static int sheet_print(struct portal *portal, const char *paper, const struct message *message,
                       const struct template_values *values, portal_print *print)
{
    const char *code_printed = values->text[PLACEHOLDER_pin];
    struct channel *printer = NULL;
    struct texts texts = {NULL, NULL, NULL};
    portal_sheet sheet = {
        .paper = paper, .language = message->language, .color = setting_text(portal, SETTING_portal_color),
        .ink = color_ink(setting_text(portal, SETTING_portal_color)), .url = values->text[PLACEHOLDER_link],
        .code = *code_printed == '\0' ? NULL : code_printed, .created_at = connection_now(portal),
    };
    int code = channel_for(portal, PORTAL_PRINT, &printer);

    if (code == SQLITE_OK && !texts_compose(portal, message, &texts)) code = fault(portal, SQLITE_NOMEM);
    if (code == SQLITE_OK) {
        sheet.practice = texts.practice;
        sheet.title = texts.title;
        sheet.text = texts.text;
        code = printer->print(printer->data, &sheet, print);
        if (code == SQLITE_ERROR) code = print_refuse(portal, values, print);
        else if (code != SQLITE_OK) code = fault(portal, code);
    }
    texts_free(&texts);
    if (code != SQLITE_OK) print_clear(print);
    return code;
}

/* A template in es serves those who ask for es-MX. */
static bool is_of(const char *template, const char *language)
{
    size_t length = strcspn(template, "-");

    return sqlite3_strnicmp(template, language, (int)length) == 0 && strcspn(language, "-_") == length;
}

int print_poster(struct portal *portal, const char *paper, const char *language, portal_print *print)
{
    struct template_values values;
    struct message message;
    int code = print_ready(portal);

    if (code == SQLITE_OK) code = paper_check(portal, &paper);
    if (code != SQLITE_OK) return code;
    code = message_poster(portal, language == NULL ? "" : language, &values, &message);
    if (code == SQLITE_OK && language != NULL && !is_of(message.language, language)) {
        code = refuse(portal, "there is no poster in the language '%.40s'; write one into portal_template", language);
    }
    if (code == SQLITE_OK) code = sheet_print(portal, paper, &message, &values, print);
    message_clear(&message);
    return code;
}

/* What is written: a registration whose link and PIN are good from now on. */
static int letter_record(struct portal *portal, const struct sending *draft, struct outbox_message *row,
                         sqlite3_int64 *pin_id, sqlite3_int64 *expires_at)
{
    int code = registration_queue(portal, draft, &row->message_id);

    if (code == SQLITE_OK) code = registration_begin(portal, row->message_id, expires_at);
    if (code == SQLITE_OK) code = proof_print(portal, &draft->patient.id, row->message_id, *expires_at, pin_id);
    return code;
}

int print_letter(struct portal *portal, const struct patient_id *id, const char *paper, portal_print *print)
{
    struct sending draft;
    struct outbox_message row = {.kind = "registration", .medium = MEDIUM_PRINT, .has_patient = true};
    struct template_values values;
    struct message message;
    sqlite3_int64 expires_at = 0;
    sqlite3_int64 pin_id = 0;
    int code = paper_check(portal, &paper);

    if (code == SQLITE_OK) code = sending_check(portal, id, MEDIUM_PRINT, 0, &draft);
    if (code == SQLITE_OK) code = letter_record(portal, &draft, &row, &pin_id, &expires_at);
    if (code != SQLITE_OK) return code;
    row.patient = draft.patient.id;
    row.created_at = connection_now(portal);
    code = message_letter(portal, &row, pin_id, &draft.patient, expires_at, &values, &message);
    if (code == SQLITE_OK) code = sheet_print(portal, paper, &message, &values, print);
    message_clear(&message);
    message_wipe(&values);
    return code;
}

void print_clear(portal_print *print)
{
    sqlite3_free(print->pdf);
    sqlite3_free(print->wrong);
    memset(print, 0, sizeof *print);
}
