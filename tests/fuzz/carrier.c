/*
** The channel of the fuzz targets, put in the place of the Maildir by the linker (--wrap): no input
** can make it write into a folder, and whatever is sent is read as its recipient's programs would.
*/
#include "../../ext/portal.h"

#include "../../ext/embedded.h"
#include "../../ext/normalize.h"
#include "../../ext/segment.h"
#include "mail_check.h"
#include "practice.h"

enum { SEGMENTS_MAX = 8 };

struct carrier carrier;

/* What an HTML text is in a browser that knows no tags: free() it. */
static char *decode_html(const char *html)
{
    static const struct { const char *name; char stands_for; } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''},
    };
    char *out = calloc(1, strlen(html) + 1);
    char *to = out;

    REQUIRE(out != NULL);
    while (*html != '\0') {
        size_t i = 0;
        size_t count = sizeof entities / sizeof entities[0];
        if (*html != '&') {
            *to++ = *html++;
            continue;
        }
        while (i < count && strncmp(html, entities[i].name, strlen(entities[i].name)) != 0) i++;
        REQUIRE_TELL(i < count, "a bare ampersand: %.20s", html);
        *to++ = entities[i].stands_for;
        html += strlen(entities[i].name);
    }
    return out;
}

/* Nothing that a value could bring along: the tags and quotes are those of the template. */
static void check_tags(const char *html, const char *kind, const char *language)
{
    static const char marks[] = "<>\"'";
    char name[80];
    const char *template;

    (void)snprintf(name, sizeof name, "messages/%s.email.%s.txt", kind, language);
    template = embedded_find(name);
    REQUIRE_TELL(template != NULL, "%s", name);
    template = strstr(template, "\n---\n");
    REQUIRE(template != NULL);
    for (;;) {
        html += strcspn(html, marks);
        template += strcspn(template, marks);
        REQUIRE_TELL(*html == *template, "a tag of its own: %.40s", html);
        if (*html == '\0') break;
        html++;
        template++;
    }
}

static void check_body(const char *text, const portal_outgoing *message)
{
    REQUIRE(normalize_is_utf8(text, strlen(text)));
    REQUIRE_TELL(strstr(text, "{{") == NULL || strstr(message->sender_name, "{{") != NULL, "not filled in: %s", text);
    REQUIRE_TELL(strstr(text, message->sender_name) != NULL, "does not name %s: %s", message->sender_name, text);
}

static void check_mail(portal_api *api, const portal_outgoing *message, const char *line_end)
{
    struct mail wanted = {
        message->sender_name, message->sender, message->recipient, message->subject,
        message->message_id_header, message->language, message->text, message->html,
        message->created_at,
    };
    size_t size = 0;
    char *bytes = api->mail(api, message, line_end, &size);

    REQUIRE_TELL(bytes != NULL, "no mail to %s from %s <%s>", message->recipient, message->sender_name,
                 message->sender);
    mail_check(bytes, size, &wanted, line_end);
    sqlite3_free(bytes);
}

static void check_email(portal_api *api, const portal_outgoing *message)
{
    char *readable = decode_html(message->html);

    REQUIRE(*message->subject != '\0' && !normalize_has_hidden(message->subject));
    check_tags(message->html, message->kind, message->language);
    check_body(readable, message);
    free(readable);
    check_mail(api, message, "\n");
    check_mail(api, message, "\r\n");
}

static void check_text(portal_api *api, const portal_outgoing *message)
{
    int gsm7 = 0;
    int segments = segment_count(message->text, &gsm7);
    char *address = api->setting(api, "portal_url");

    REQUIRE(message->html == NULL && *message->subject == '\0');
    REQUIRE_TELL(!normalize_has_hidden(message->text), "%s", message->text);
    REQUIRE_TELL(segments <= SEGMENTS_MAX, "%d segments: %s", segments, message->text);
    /* The README's promise. */
    if (gsm7 && strlen(message->sender_name) <= 25 && strlen(address) <= 40) {
        REQUIRE_TELL(segments == 1 || strpbrk(message->text, "^{}\\[~]|") != NULL, "%s", message->text);
    }
    sqlite3_free(address);
}

/* Remembers what follows a mark in a text. */
static void find(const char *text, const char *mark, size_t length, char *out)
{
    const char *found = strstr(text, mark);

    if (found != NULL) (void)snprintf(out, length + 1, "%s", found + strlen(mark));
}

static int deliver(void *data, portal_batch *batch)
{
    portal_api *api = data;
    const portal_report report = {(portal_result)carrier.outcome, "what the carrier said", 0};
    const portal_outgoing *message;
    int code = SQLITE_OK;

    while (code == SQLITE_OK && (message = batch->next(batch)) != NULL) {
        check_body(message->text, message);
        REQUIRE_TELL(strlen(message->text) > 20, "%s", message->text);
        if (message->serves == PORTAL_EMAIL) check_email(api, message);
        else check_text(api, message);
        find(message->text, "/r/", 32, carrier.link);
        find(message->text, "/p/", 32, carrier.reset);
        find(message->text, "PIN is ", 6, carrier.pin);
        carrier.count++;
        if (carrier.outcome <= PORTAL_OPTED_OUT) code = batch->report(batch, message, &report);
    }
    return code;
}

static int print_nothing(void *data, const portal_sheet *sheet, portal_print *print)
{
    (void)data;
    REQUIRE(sheet->url[0] != '\0' && sheet->practice[0] != '\0' && strstr(sheet->text, sheet->url) != NULL);
    REQUIRE(sheet->code == NULL || strstr(sheet->text, sheet->code) != NULL);
    REQUIRE_TELL(!normalize_has_hidden_lines(sheet->text) && !normalize_has_hidden(sheet->title), "%s", sheet->text);
    print->pdf = sqlite3_mprintf("%%PDF");
    print->size = 4;
    return print->pdf == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

int __wrap_maildir_register(portal_api *api);

int __wrap_maildir_register(portal_api *api)
{
    static const portal_channel channel = {
        PORTAL_API_VERSION, "maildir", PORTAL_EMAIL | PORTAL_TEXT, "1", deliver, NULL, NULL, NULL, NULL,
    };

    static const portal_printer printer = {PORTAL_API_VERSION, "poster", "1", print_nothing};
    int code = api->register_printer(api, &printer, NULL, NULL);

    return code == SQLITE_OK ? api->register_channel(api, &channel, api, NULL) : code;
}
