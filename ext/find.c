#include "find.h"

#include "calendar.h"
#include "normalize.h"
#include "patient.h"
#include "setting.h"

#include <string.h>

#define COLUMNS "SELECT patient_id, first_name, last_name, date_of_birth, email, cell_phone FROM main.patient"

enum { ID, FIRST, LAST, BORN, EMAIL, PHONE };
enum { WORDS_MOST = 8, WORD_SIZE = 128 };

static const char of_id[] = COLUMNS " WHERE patient_id = ?1";
static const char of_birth[] = COLUMNS " WHERE date_of_birth = ?1 ORDER BY patient_id";
static const char of_all[] = COLUMNS " ORDER BY patient_id";

/* What is looked for, as it is compared.  A contact of "": it is none. */
struct sought {
    bool all;                               /* each row counts: the statement found it */
    char email[CONTACT_SIZE];
    char phone[CONTACT_SIZE];
    int count;
    char word[WORDS_MOST][WORD_SIZE];       /* of a name, in any order */
};

/* The next word of a name; NULL after the last.  Its length goes to *length. */
static const char *word_next(const char *text, size_t *length)
{
    text += strspn(text, " ,\t");
    *length = strcspn(text, " ,\t");
    return *length == 0 ? NULL : text;
}

static bool word_normalize(const char *text, size_t length, char out[WORD_SIZE])
{
    char word[WORD_SIZE];

    if (length >= sizeof word) return false;
    memcpy(word, text, length);
    word[length] = '\0';
    return normalize_name(word, out, WORD_SIZE) == 0;
}

/* More words than anybody has are left out: what is found with the others is shown. */
static void words_take(struct sought *sought, const char *text)
{
    size_t length = 0;

    while (sought->count < WORDS_MOST && (text = word_next(text, &length)) != NULL) {
        char *word = sought->word[sought->count];
        if (word_normalize(text, length, word) && *word != '\0') sought->count++;
        text += length;
    }
}

/* One of the words begins as the word that is looked for. */
static bool name_has(const char *name, const char *word)
{
    char own[WORD_SIZE];
    size_t length = 0;

    for (const char *text = name; (text = word_next(text, &length)) != NULL; text += length) {
        if (word_normalize(text, length, own) && strncmp(own, word, strlen(word)) == 0) return true;
    }
    return false;
}

static bool name_matches(const struct sought *sought, sqlite3_stmt *row)
{
    char first[PATIENT_NAME_SIZE];
    char last[PATIENT_NAME_SIZE];

    statement_text(row, FIRST, first, sizeof first);
    statement_text(row, LAST, last, sizeof last);
    for (int i = 0; i < sought->count; i++) {
        if (!name_has(first, sought->word[i]) && !name_has(last, sought->word[i])) return false;
    }
    return sought->count > 0;
}

static bool contact_matches(struct portal *portal, const struct sought *sought, sqlite3_stmt *row)
{
    const char *country = setting_text(portal, SETTING_country_code);
    char own[CONTACT_SIZE];

    if (*sought->email != '\0' && contact_normalize_email(statement_string(row, EMAIL), own) == NULL &&
        strcmp(own, sought->email) == 0) {
        return true;
    }
    return *sought->phone != '\0' && contact_normalize_phone(statement_string(row, PHONE), country, own) == NULL &&
           strcmp(own, sought->phone) == 0;
}

/* A number or another key of the chart finds its patient alone; without one, everybody whom the text may mean. */
int find_open(struct cursor *cursor, sqlite3_value *key[2])
{
    struct portal *portal = cursor->portal;
    const char *text = (const char *)sqlite3_value_text(key[0]);
    struct sought *sought = sqlite3_malloc(sizeof *sought);
    int code;

    if (sought == NULL) return fault(portal, SQLITE_NOMEM);
    memset(sought, 0, sizeof *sought);
    cursor->own = sought;
    if (text == NULL) return SQLITE_OK;
    sought->all = true;
    code = statement_row(portal, &cursor->statement, of_id, "s", text);
    if (code == SQLITE_DONE && calendar_is_date(text)) {
        code = statement_row(portal, &cursor->statement, of_birth, "s", text);
    } else if (code == SQLITE_DONE) {
        sought->all = false;
        (void)contact_normalize_email(text, sought->email);
        (void)contact_normalize_phone(text, setting_text(portal, SETTING_country_code), sought->phone);
        words_take(sought, text);
        code = statement_row(portal, &cursor->statement, of_all, "");
    }
    return table_scan(cursor, code);
}

int find_arrive(struct cursor *cursor, bool row)
{
    const struct sought *sought = cursor->own;

    if (!row) {
        sqlite3_free(cursor->own);
        cursor->own = NULL;
        return SQLITE_OK;
    }
    return sought->all || contact_matches(cursor->portal, sought, cursor->statement) ||
                   name_matches(sought, cursor->statement)
               ? SQLITE_OK
               : TABLE_SKIP;
}

int find_column(struct cursor *cursor, sqlite3_context *context, int column)
{
    enum { PATIENT_ID, NAME };
    sqlite3_stmt *row = cursor->statement;

    if (column == NAME) {
        char *name = sqlite3_mprintf("%s %s", statement_string(row, FIRST), statement_string(row, LAST));
        sqlite3_result_text(context, name, -1, sqlite3_free);
    } else {
        table_result(context, row, column == PATIENT_ID ? ID : column + 1);
    }
    return SQLITE_OK;
}
