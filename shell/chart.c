#include "chart.h"

#include "field.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Reading: each puts what the table is to have in the place of the text, and gives what is wrong, or NULL. */

/* By the rule that what patients enter has as well. */
static const char *field_take(const struct chart_column *column, const struct chart_rules *rules, const char **text,
                              char out[CONTACT_SIZE])
{
    return field_problem(field_find(column->name), rules->country_code, *text, out);
}

/* Words that stand for a value; after the last, what is said of any other. */
struct meaning {
    const char *word;
    const char *value;
};

static const struct meaning sexes[] = {
    {"m", "male"}, {"male", "male"}, {"f", "female"}, {"female", "female"}, {"o", "other"}, {"x", "other"},
    {"other", "other"}, {"u", "unknown"}, {"unknown", "unknown"},
    {NULL, "is none of M, F, male, female, other and unknown"},
};
static const struct meaning flags[] = {
    {"1", "1"}, {"yes", "1"}, {"y", "1"}, {"true", "1"}, {"t", "1"},
    {"0", "0"}, {"no", "0"}, {"n", "0"}, {"false", "0"}, {"f", "0"}, {NULL, "is none of yes, no, 1 and 0"},
};

static const char *meaning_take(const struct chart_column *column, const struct chart_rules *rules, const char **text,
                                char out[CONTACT_SIZE])
{
    const struct meaning *meaning = column->meanings;

    (void)rules;
    while (meaning->word != NULL && strcasecmp(meaning->word, *text) != 0) meaning++;
    if (meaning->word == NULL) return meaning->value;
    (void)snprintf(out, CONTACT_SIZE, "%s", meaning->value);
    *text = out;
    return NULL;
}

static const char *date_take(const struct chart_column *column, const struct chart_rules *rules, const char **text,
                             char out[CONTACT_SIZE])
{
    const char *problem = calendar_is_date(*text) ? NULL : calendar_read(*text, rules->day_first, out);

    (void)column;
    if (problem != NULL) return problem;
    if (!calendar_is_date(*text)) *text = out;
    if (strcmp(*text, "1900-01-01") < 0) return "is before 1900";
    return strcmp(*text, rules->latest) > 0 ? "is in the future" : NULL;
}

const struct chart_column chart_columns[CHART_COUNT] = {
    [CHART_FIRST_NAME] = {"first_name", "firstname first givenname given forename fname", true, field_take, NULL},
    [CHART_LAST_NAME] = {"last_name", "lastname last familyname family surname lname", true, field_take, NULL},
    [CHART_DATE_OF_BIRTH] = {"date_of_birth", "dateofbirth birthdate birthday dob born", true, date_take, NULL},
    {"patient_id", "patientid", false, NULL, NULL},
    {"sex", "sex gender", false, meaning_take, sexes},
    {"email", "email emailaddress mail", false, field_take, NULL},
    {"cell_phone", "cellphone cell cellphonenumber mobile mobilephone mobilenumber", false, field_take, NULL},
    {"home_phone", "homephone phone phonenumber telephone telephonenumber", false, field_take, NULL},
    {"address_line1", "addressline1 address1 address street", false, field_take, NULL},
    {"address_line2", "addressline2 address2", false, field_take, NULL},
    {"city", "city town", false, field_take, NULL},
    {"state", "state province", false, field_take, NULL},
    {"postal_code", "postalcode zip zipcode postcode", false, field_take, NULL},
    {"preferred_language", "preferredlanguage language", false, field_take, NULL},
    {"email_consent", "emailconsent", false, meaning_take, flags},
    {"text_consent", "textconsent smsconsent", false, meaning_take, flags},
    {"phr_active", "phractive", false, meaning_take, flags},
    {"active", "active", false, meaning_take, flags},
    [CHART_DECEASED_ON] = {"deceased_on", "deceasedon deathdate dateofdeath", false, date_take, NULL},
};

const char *chart_read(const struct chart_column *column, const struct chart_rules *rules, char *field, const char **value,
                        char out[CONTACT_SIZE])
{
    size_t length = strlen(field);

    while (length > 0 && strchr(" \t\r\n", field[length - 1]) != NULL) field[--length] = '\0';
    field += strspn(field, " \t\r\n");
    *value = *field == '\0' ? NULL : field;
    if (*field == '\0') return column->required ? "is missing" : NULL;
    return column->read == NULL ? NULL : column->read(column, rules, value, out);
}

/* Headers */

/* Letters and digits; any of another alphabet, too. */
static bool is_letter(char character)
{
    return isalnum((unsigned char)character) || (unsigned char)character >= 0x80;
}

/* Do the two say the same, whatever their case, spaces and punctuation? */
static bool header_is(const char *header, const char *word, size_t length)
{
    const char *end = word + length;

    for (;; header++, word++) {
        while (*header != '\0' && !is_letter(*header)) header++;
        while (word < end && !is_letter(*word)) word++;
        if (*header == '\0' || word == end) return *header == '\0' && word == end;
        if (tolower((unsigned char)*header) != tolower((unsigned char)*word)) return false;
    }
}

int chart_find(const char *name, size_t length)
{
    for (int column = 0; column < CHART_COUNT; column++) {
        if (header_is(chart_columns[column].name, name, length)) return column;
    }
    return -1;
}

int chart_header_find(char *const *headers, int count, const char *word, size_t length)
{
    for (int header = 0; header < count; header++) {
        if (header_is(headers[header], word, length)) return header;
    }
    return -1;
}

void chart_guess(char *const *headers, int count, int from[CHART_COUNT])
{
    for (int column = 0; column < CHART_COUNT; column++) {
        const char *word = chart_columns[column].headers;
        from[column] = -1;
        for (size_t length; from[column] < 0 && *word != '\0'; word += length + strspn(word + length, " ")) {
            length = strcspn(word, " ");
            from[column] = chart_header_find(headers, count, word, length);
        }
    }
}
