/* Unit tests of ext/template.c and ext/html.c. */
#include "html.h"
#include "template.h"
#include "unit.h"

#include <stdlib.h>

enum { NAME = 1 << PLACEHOLDER_practice_name, LINK = 1 << PLACEHOLDER_link };

static const struct template_rules mail = {true, true, false, NAME | LINK, LINK};
static const struct template_rules invitation = {false, false, true, NAME | LINK, LINK};

static char problem[TEMPLATE_PROBLEM_SIZE];

/* Fills in with {{practice_name}} "A & <B>" and {{link}} "https://x/r/1"; to be freed. */
static char *filled(const char *text, bool html)
{
    static struct template_values values;
    struct template_part part;
    char *out;
    size_t length;

    template_values_clear(&values);
    (void)snprintf(values.text[PLACEHOLDER_practice_name], TEMPLATE_VALUE_SIZE, "A & <B>");
    (void)snprintf(values.text[PLACEHOLDER_link], TEMPLATE_VALUE_SIZE, "https://x/r/1");
    if (!template_parse(&part, text, html, problem)) return NULL;
    length = template_length(&part, &values);
    out = calloc(1, length + 1);
    if (out != NULL) template_write(&part, &values, out);
    return out;
}

static bool fills(const char *text, bool html, const char *expected)
{
    char *out = filled(text, html);
    bool same = out != NULL && strcmp(out, expected) == 0;

    free(out);
    return same;
}

static bool takes(const struct template_rules *rules, const char *subject, const char *text, const char *html)
{
    const struct template_source source = {subject, text, html};

    problem[0] = '\0';
    return template_check(rules, &source, problem);
}

static bool refuses(const struct template_rules *rules, const char *subject, const char *text, const char *html,
                    const char *says)
{
    return !takes(rules, subject, text, html) && strstr(problem, says) != NULL;
}

static bool refuses_text(const char *text, const char *says)
{
    return refuses(&mail, "Hello", text, NULL, says);
}

static bool refuses_html(const char *html, const char *says)
{
    return !html_check(html, problem, sizeof problem) && strstr(problem, says) != NULL;
}

static bool takes_html(const char *html)
{
    return html_check(html, problem, sizeof problem);
}

static void test_filling_in(void)
{
    TEST("placeholders are filled in, wherever they stand") {
        CHECK(fills("{{link}}", false, "https://x/r/1"));
        CHECK(fills("{{link}}{{link}}", false, "https://x/r/1https://x/r/1"));
        CHECK(fills("a {{practice_name}} b", false, "a A & <B> b"));
        CHECK(fills("", false, ""));
        CHECK(fills("no { placeholder } at }} all", false, "no { placeholder } at }} all"));
    }
    TEST("a placeholder without a value stands for nothing") {
        CHECK(fills("PIN {{pin}}.", false, "PIN ."));
    }
    TEST("values are escaped in HTML, the template itself is not") {
        CHECK(fills("<p>{{practice_name}}</p>", true, "<p>A &amp; &lt;B&gt;</p>"));
        CHECK(fills("<a href=\"{{link}}\">&amp;</a>", true, "<a href=\"https://x/r/1\">&amp;</a>"));
    }
    TEST("what is no placeholder is not parsed") {
        CHECK(filled("{{who}}", false) == NULL && strstr(problem, "unknown placeholder {{who}}") != NULL);
        CHECK(filled("{{ link }}", false) == NULL);
        CHECK(filled("{{practice", false) == NULL && strstr(problem, "{{ without }}") != NULL);
        CHECK(filled("{{practice}", false) == NULL);
        CHECK(filled("{{}}", false) == NULL);
        CHECK(filled("{{lin}}", false) == NULL);
        CHECK(filled("{{links}}", false) == NULL);
        CHECK(filled("{{{link}}", false) == NULL);
    }
    TEST("there is a most of placeholders") {
        char text[TEMPLATE_PIECES_MAX * 7 + 1] = "";
        for (int i = 0; i < TEMPLATE_PIECES_MAX - 1; i++) strcat(text, "{{pin}}");
        CHECK(fills(text, false, ""));
        strcat(text, "{{pin}}");
        CHECK(filled(text, false) == NULL && strstr(problem, "more than 31 placeholders") != NULL);
    }
}

static void test_parts(void)
{
    TEST("mail has a subject and a text, and may have HTML") {
        CHECK(takes(&mail, "Hello", "{{link}}", NULL));
        CHECK(takes(&mail, "Hello", "{{link}}", "<p>{{link}}</p>"));
        CHECK(refuses(&mail, NULL, "{{link}}", NULL, "subject is missing"));
        CHECK(refuses(&mail, "Hello", NULL, NULL, "text is missing"));
        CHECK(refuses(&mail, " ", "{{link}}", NULL, "subject is empty"));
        CHECK(refuses(&mail, "Hello", " \n", NULL, "text is empty"));
        CHECK(refuses(&mail, "Hello", "{{link}}", "", "html is empty"));
    }
    TEST("a text message is its text") {
        CHECK(takes(&invitation, NULL, "{{link}} STOP", NULL));
        CHECK(refuses(&invitation, "Hello", "{{link}} STOP", NULL, "subject is for email"));
        CHECK(refuses(&invitation, NULL, "{{link}} STOP", "<p>{{link}}</p>", "html is for email"));
    }
    TEST("an invitation by text says how to opt out") {
        CHECK(refuses(&invitation, NULL, "{{link}}", NULL, "STOP"));
        CHECK(refuses(&invitation, NULL, "{{link}} stop", NULL, "STOP"));
    }
    TEST("what a message carries is in its text and in its HTML, and not in its subject") {
        CHECK(refuses_text("hello", "text lacks {{link}}"));
        CHECK(refuses(&mail, "Hello", "{{link}}", "<p>hello</p>", "html lacks {{link}}"));
        CHECK(refuses(&mail, "{{link}}", "{{link}}", NULL, "subject has {{link}}, which is not for it; it may have "
                      "{{practice_name}}"));
        CHECK(refuses_text("{{link}} {{pin}}", "text has {{pin}}, which is not for it"));
        CHECK(refuses_text("{{link}} {{foo}}", "it may have {{practice_name}}, {{link}}"));
    }
    TEST("a part has a most of bytes") {
        char text[TEMPLATE_TEXT_MAX + 2];
        memset(text, 'x', sizeof text);
        memcpy(text, "{{link}} ", 9);
        text[TEMPLATE_TEXT_MAX] = '\0';
        CHECK(takes(&mail, "Hello", text, NULL));
        text[TEMPLATE_TEXT_MAX] = 'x';
        text[TEMPLATE_TEXT_MAX + 1] = '\0';
        CHECK(refuses_text(text, "text is too long"));
    }
}

static void test_characters(void)
{
    TEST("no part has a control, bidirectional or zero-width character") {
        static const char *const hidden[] = {
            "\r", "\t", "\x01", "\x7F", "\xC2\x85", "\u2028", "\u202E", "\u2066", "\u200B", "\u200E", "\uFEFF",
            "\u00AD", "\u2060", "\u3164", "\xFF", "\xC3",
        };
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
            char text[80];
            (void)snprintf(text, sizeof text, "{{link}} a%sb", hidden[i]);
            CHECK(refuses_text(text, "text has a control or an invisible character"));
            CHECK(refuses(&mail, "Hello", "{{link}}", text, "html has a control or an invisible character"));
            (void)snprintf(text, sizeof text, "a%sb", hidden[i]);
            CHECK(refuses(&mail, text, "{{link}}", NULL, "subject has a line break, a control"));
        }
    }
    TEST("a text has lines, a subject is one") {
        CHECK(takes(&mail, "Hello", "a\n\n{{link}}\n", "<p>\n{{link}}</p>\n"));
        CHECK(refuses(&mail, "Hello\nBcc: x@example.org", "{{link}}", NULL, "subject has a line break"));
    }
    TEST("letters of every script are fine, with the joiners that they need") {
        CHECK(takes(&mail, "¿Qué? Клиника 診療所", "{{link}} می\u200Cخواهم", NULL));
    }
    TEST("no address to open is written into a text") {
        CHECK(refuses_text("{{link}} http://evil.example", "has an address to open"));
        CHECK(refuses_text("{{link}} www.evil.example", "has an address to open"));
        CHECK(refuses(&mail, "https://evil.example", "{{link}}", NULL, "subject has an address"));
        CHECK(refuses(&mail, "Hello", "{{link}}", "<p>{{link}} https://evil.example</p>", "html has an address"));
    }
}

static void test_what_touches_a_link(void)
{
    TEST("a link stands apart, so that nothing becomes part of it") {
        static const char *const touched[] = {
            "{{link}}STOP", "{{link}}.", "{{link}}.evil.example", "evil.example/{{link}}", "x@{{link}}",
            "{{link}}{{link}}", "{{practice_name}}{{link}}", "{{link}}é",
        };
        static const char *const apart[] = {"{{link}}", "a {{link}} b", "a\n{{link}}\nb", "<{{link}}>", "\"{{link}}\""};
        char html[64];
        for (size_t i = 0; i < sizeof touched / sizeof touched[0]; i++) {
            CHECK(refuses_text(touched[i], "text has something right before or after {{link}}"));
            (void)snprintf(html, sizeof html, "<p>%s</p>", touched[i]);
            CHECK(refuses(&mail, "Hello", "{{link}}", html, "html has something right before or after {{link}}"));
        }
        for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) CHECK(takes(&mail, "Hello", apart[i], NULL));
        CHECK(takes(&mail, "Hello", "{{link}}", "<p>a {{link}}<br>{{link}}</p><a href='{{link}}'>{{link}}</a>"));
    }
}

static void test_html(void)
{
    TEST("HTML that balances is taken") {
        CHECK(takes_html("plain text"));
        CHECK(takes_html("<p>a<br>b<br/>c<br /><hr></p>"));
        CHECK(takes_html("<html lang=\"es\"><body><table border='0' cellpadding=\"4\"><tr><td align=\"left\">x</td></tr>"
                         "</table></body></html>"));
        CHECK(takes_html("<P STYLE=\"color: #333; font-size: 120%\">x</p>"));
        CHECK(takes_html("<a href=\"{{link}}\">x</a> <A HREF='{{link}}' class=\"button\">x</A>"));
        CHECK(takes_html("a &amp; b &lt; c &gt; d &quot;e&quot; &#39;f&#39; g&nbsp;h > i"));
    }
    TEST("HTML that does not balance is refused") {
        CHECK(refuses_html("<p>", "<p> is not closed"));
        CHECK(refuses_html("</p>", "</p> closes nothing"));
        CHECK(refuses_html("<b><i></b></i>", "</b> where <i> is open"));
        CHECK(refuses_html("<p></p></p>", "</p> closes nothing"));
        CHECK(refuses_html("<strong></str>", "</str> where <strong> is open"));
        CHECK(refuses_html("<p", "without its >"));
        CHECK(refuses_html("<p></p", "closes no element"));
        CHECK(refuses_html("</>", "closes no element"));
        CHECK(refuses_html("<", "begins no element"));
        CHECK(refuses_html("a < b", "begins no element"));
        CHECK(refuses_html("</br>", "closes nothing"));
    }
    TEST("elements that load, run or ask for something are refused") {
        static const char *const others[] = {
            "<script>x</script>", "<SCRIPT>x</SCRIPT>", "<style>x</style>", "<img>", "<iframe></iframe>",
            "<form></form>", "<input>", "<object></object>", "<svg></svg>", "<link>", "<meta>", "<base>",
            "<video></video>", "<bdo></bdo>", "<title></title>", "<pp></pp>",
        };
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            CHECK(refuses_html(others[i], "which no message may have"));
        }
        CHECK(refuses_html("<!-- x -->", "begins no element"));
        CHECK(refuses_html("<!DOCTYPE html>", "begins no element"));
        CHECK(refuses_html("<?php ?>", "begins no element"));
    }
    TEST("attributes that are not plain are refused") {
        CHECK(refuses_html("<p onclick=\"x\">y</p>", "the attribute onclick"));
        CHECK(refuses_html("<p/onclick=\"x\">y</p>", "no blank before"));
        CHECK(refuses_html("<p class=\"a\"onclick=\"x\">y</p>", "no blank before"));
        CHECK(refuses_html("<p hidden>y</p>", "without a value in quotes"));
        CHECK(refuses_html("<p class=x>y</p>", "without a value in quotes"));
        CHECK(refuses_html("<p class=\"x>y</p>", "without a value in quotes"));
        CHECK(refuses_html("<p class=\"{{practice}}\">y</p>", "not plain"));
        CHECK(refuses_html("<p style=\"background: url(x)\">y</p>", "not plain"));
        CHECK(refuses_html("<p style=\"background: u\\72l\">y</p>", "not plain"));
        CHECK(refuses_html("<p style=\"unicode-bidi: bidi-override; direction: rtl\">y</p>", "turns text around"));
        CHECK(refuses_html("<p \"x\">y</p>", "something else than attributes"));
    }
    TEST("links go to {{link}} and nowhere else") {
        CHECK(refuses_html("<a href=\"https://evil.example/\">x</a>", "something else than {{link}}"));
        CHECK(refuses_html("<a href=\"{{link}}.evil.example\">x</a>", "something else than {{link}}"));
        CHECK(refuses_html("<a href=\"//evil.example/{{link}}\">x</a>", "something else than {{link}}"));
        CHECK(refuses_html("<a href=\"mailto:x@example.org\">x</a>", "something else than {{link}}"));
        CHECK(refuses_html("<a href=\"javascript:x\">x</a>", "something else than {{link}}"));
        CHECK(refuses_html("<p href=\"{{link}}\">x</p>", "the attribute href"));
    }
    TEST("a reference that could name any character is refused") {
        CHECK(refuses_html("&#x202E;", "has an &"));
        CHECK(refuses_html("&rlm;", "has an &"));
        CHECK(refuses_html("&#8203;", "has an &"));
        CHECK(refuses_html("a & b", "has an &"));
        CHECK(refuses_html("&amp", "has an &"));
    }
    TEST("elements can not be in each other without end") {
        char html[3 * 65 + 1] = "";
        for (int i = 0; i < 65; i++) strcat(html, "<b>");
        CHECK(refuses_html(html, "more than 64 elements"));
    }
}

int main(void)
{
    test_filling_in();
    test_parts();
    test_characters();
    test_what_touches_a_link();
    test_html();
    return unit_result();
}
