#include "received.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Fields */

static int digit_of(char character)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = character == '\0' ? NULL : strchr(digits, character);

    return found == NULL ? -1 : (int)(found - digits) % 16;
}

/* Decodes in its place; false when there is a NUL.  What is no escape stays as it is. */
static bool decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        int high = *text == '%' ? digit_of(text[1]) : -1;
        int low = high < 0 ? -1 : digit_of(text[2]);
        if (high == 0 && low == 0) return false;
        *out++ = *text == '+' ? ' ' : low < 0 ? *text : (char)(high * 16 + low);
        if (low >= 0) text += 2;
    }
    *out = '\0';
    return true;
}

int received_read(struct received *received, const char *text)
{
    char *rest;

    received->count = 0;
    received->bytes = rest = sqlite3_mprintf("%s", text);
    if (rest == NULL) return SQLITE_NOMEM;
    while (rest != NULL) {
        char *name = strsep(&rest, "&");
        char *value = name;
        if (*name == '\0') continue;
        if (received->count == RECEIVED_FIELDS_MOST) return SQLITE_AUTH;
        (void)strsep(&value, "=");
        if (!decode(name) || (value != NULL && !decode(value))) return SQLITE_AUTH;
        received->field[received->count++] = (struct received_field){name, value == NULL ? "" : value};
    }
    return SQLITE_OK;
}

void received_clear(struct received *received)
{
    if (received->bytes != NULL) explicit_bzero(received->bytes, strlen(received->bytes));
    sqlite3_free(received->bytes);
}

const char *received_field(const struct received *received, const char *name)
{
    for (int i = 0; i < received->count; i++) {
        if (strcmp(received->field[i].name, name) == 0) return received->field[i].value;
    }
    return "";
}

int received_order(const struct received_field *left, const struct received_field *right)
{
    int names = strcmp(left->name, right->name);

    return names != 0 ? names : strcmp(left->value, right->value);
}

static int compare(const void *left, const void *right)
{
    return received_order(left, right);
}

void received_sort(struct received *received)
{
    qsort(received->field, (size_t)received->count, sizeof received->field[0], compare);
}

/* Reports */

bool received_is_report(const struct received *query)
{
    return *received_field(query, "claim") != '\0';
}

int received_report(const struct received *query, const char *who, const char *status, const char *error,
                    const struct received_meaning *meanings, portal_news *news)
{
    const char *message = received_field(query, "message");
    const char *claim = received_field(query, "claim");
    char *end = NULL;

    news->message_id = strtoll(message, &end, 10);
    if (end == message || *end != '\0' || strlen(claim) >= sizeof news->claim) return SQLITE_AUTH;
    (void)snprintf(news->claim, sizeof news->claim, "%s", claim);
    (void)snprintf(news->detail, sizeof news->detail, "%s reports %.40s%s%.40s", who, status,
                   *error == '\0' ? "" : ", error ", error);
    while (meanings->status != NULL && strcmp(meanings->status, status) != 0) meanings++;
    news->word = meanings->word;
    return SQLITE_OK;
}

/* Replies */

/* CTIA's and Twilio's words, and those of 47 CFR 64.1200(a)(10). */
static const struct {
    const char *reply;
    portal_word word;
} replies[] = {
    {"stop", PORTAL_SAYS_STOP}, {"stopall", PORTAL_SAYS_STOP}, {"unsubscribe", PORTAL_SAYS_STOP},
    {"cancel", PORTAL_SAYS_STOP}, {"end", PORTAL_SAYS_STOP}, {"quit", PORTAL_SAYS_STOP},
    {"revoke", PORTAL_SAYS_STOP}, {"optout", PORTAL_SAYS_STOP},
    {"start", PORTAL_SAYS_START}, {"yes", PORTAL_SAYS_START}, {"unstop", PORTAL_SAYS_START},
};

/* Letters in lower case, without the space and the marks between them: "Stop." and "OPT-OUT" are meant alike. */
static void fold(const char *text, char out[16])
{
    size_t length = 0;

    for (; *text != '\0' && length < 15; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 'A' && byte <= 'Z') byte = (unsigned char)(byte + 'a' - 'A');
        if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80) out[length++] = (char)byte;
    }
    out[length] = '\0';
}

void received_reply(const char *from, const char *text, portal_news *news)
{
    char reply[16];

    fold(text, reply);
    (void)snprintf(news->contact, sizeof news->contact, "%s", from);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        if (strcmp(replies[i].reply, reply) == 0) news->word = replies[i].word;
    }
}
