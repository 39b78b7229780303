#include "html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 64, NAME_MAX = 20 };

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_CHARACTERS LETTERS "0123456789"
#define BLANKS " \n"

static const char *const elements[] = {
    "a", "b", "blockquote", "body", "center", "div", "em", "font", "h1", "h2", "h3", "h4", "html", "i",
    "li", "ol", "p", "small", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
    NULL,
};
static const char *const void_elements[] = {"br", "hr", NULL};
/* None of their plain values loads or runs anything. */
static const char *const attributes[] = {
    "align", "bgcolor", "border", "cellpadding", "cellspacing", "class", "color", "colspan", "dir", "height",
    "lang", "role", "rowspan", "style", "valign", "width", NULL,
};
static const char value_characters[] = NAME_CHARACTERS " #%.,:;-_";
/* Numbers could name any character, and most names, too. */
static const char *const references[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&nbsp;", NULL};

/* What is being read; the elements that are open are names in the text. */
struct reader {
    const char *at;
    struct {
        const char *name;
        size_t length;
    } open[DEPTH_MAX];
    int depth;
    char *problem;
    size_t size;
};

static bool refuse(struct reader *reader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reader->problem, reader->size, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_in(const char *const *list, const char *name, size_t length)
{
    while (*list != NULL && (strncasecmp(*list, name, length) != 0 || (*list)[length] != '\0')) list++;
    return *list != NULL;
}

/* Length for "%.*s" of a name that is told. */
static int shown(size_t length)
{
    return length > NAME_MAX ? NAME_MAX : (int)length;
}

static bool read_reference(struct reader *reader)
{
    for (const char *const *reference = references; *reference != NULL; reference++) {
        size_t length = strlen(*reference);
        if (strncmp(reader->at, *reference, length) != 0) continue;
        reader->at += length;
        return true;
    }
    return refuse(reader, "has an & that is none of &amp; &lt; &gt; &quot; &#39; &nbsp;; write the character itself");
}

/* From the name of an attribute to behind its value. */
static bool read_attribute(struct reader *reader, const char *element, size_t element_length)
{
    const char *name = reader->at;
    size_t length = strspn(name, NAME_CHARACTERS "-");
    char quote = name[length] == '=' ? name[length + 1] : '\0';
    const char *value = name + length + 2;
    const char *end = quote == '"' || quote == '\'' ? strchr(value, quote) : NULL;

    if (length == 0) return refuse(reader, "has something else than attributes in <%.*s>",
                                   shown(element_length), element);
    if (end == NULL) return refuse(reader, "has the attribute %.*s without a value in quotes", shown(length), name);
    reader->at = end + 1;
    if (length == 4 && strncasecmp(name, "href", 4) == 0 && element_length == 1 && strchr("aA", *element) != NULL) {
        if (end - value == 8 && strncmp(value, "{{link}}", 8) == 0) return true;
        return refuse(reader, "has a link to something else than {{link}}");
    }
    if (!is_in(attributes, name, length)) {
        return refuse(reader, "has the attribute %.*s, which no message may have", shown(length), name);
    }
    if (strspn(value, value_characters) < (size_t)(end - value)) {
        return refuse(reader, "has an attribute %.*s whose value is not plain", shown(length), name);
    }
    return true;
}

/* Text must read as it stands, whichever way its letters run. */
static bool styles_check(struct reader *reader, const char *tag)
{
    for (; tag < reader->at; tag++) {
        if (strncasecmp(tag, "bidi", 4) == 0) return refuse(reader, "has a style that turns text around");
    }
    return true;
}

static bool read_opening(struct reader *reader)
{
    const char *name = reader->at + 1;
    size_t length = strspn(name, NAME_CHARACTERS);
    bool is_void = is_in(void_elements, name, length);

    if (!is_void && !is_in(elements, name, length)) {
        return length == 0 ? refuse(reader, "has a < that begins no element; write &lt;")
                           : refuse(reader, "has <%.*s>, which no message may have", shown(length), name);
    }
    reader->at = name + length;
    for (;;) {
        size_t blanks = strspn(reader->at, BLANKS);
        reader->at += blanks;
        if (*reader->at == '>' || (is_void && strncmp(reader->at, "/>", 2) == 0)) break;
        if (*reader->at == '\0') return refuse(reader, "has <%.*s without its >", shown(length), name);
        if (blanks == 0) return refuse(reader, "has no blank before an attribute of <%.*s>", shown(length), name);
        if (!read_attribute(reader, name, length)) return false;
    }
    if (!styles_check(reader, name)) return false;
    reader->at += strcspn(reader->at, ">") + 1;
    if (is_void) return true;
    if (reader->depth == DEPTH_MAX) return refuse(reader, "has more than %d elements in each other", (int)DEPTH_MAX);
    reader->open[reader->depth].name = name;
    reader->open[reader->depth++].length = length;
    return true;
}

static bool read_closing(struct reader *reader)
{
    const char *name = reader->at + 2;
    size_t length = strspn(name, NAME_CHARACTERS);
    const char *open = reader->depth > 0 ? reader->open[reader->depth - 1].name : "";
    size_t open_length = reader->depth > 0 ? reader->open[reader->depth - 1].length : 0;

    if (name[length] != '>' || length == 0) return refuse(reader, "has a </ that closes no element");
    if (length != open_length || strncasecmp(name, open, length) != 0) {
        return refuse(reader, open_length == 0 ? "does not balance: </%.*s> closes nothing"
                                               : "does not balance: </%.*s> where <%.*s> is open",
                      shown(length), name, shown(open_length), open);
    }
    reader->depth--;
    reader->at = name + length + 1;
    return true;
}

bool html_check(const char *html, char *problem, size_t size)
{
    struct reader reader = {.at = html, .size = size};
    bool fine = true;

    reader.problem = problem;
    while (fine && *(reader.at += strcspn(reader.at, "<&")) != '\0') {
        fine = *reader.at == '&' ? read_reference(&reader)
             : reader.at[1] == '/' ? read_closing(&reader) : read_opening(&reader);
    }
    if (!fine || reader.depth == 0) return fine;
    reader.depth--;
    return refuse(&reader, "does not balance: <%.*s> is not closed", shown(reader.open[reader.depth].length),
                  reader.open[reader.depth].name);
}
