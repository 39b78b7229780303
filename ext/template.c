#include "template.h"

#include "html.h"
#include "normalize.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define PLACEHOLDER_NAME(name) #name,
    PLACEHOLDER_LIST(PLACEHOLDER_NAME)
#undef PLACEHOLDER_NAME
};

void template_values_clear(struct template_values *values)
{
    for (int i = 0; i <= PLACEHOLDER_COUNT; i++) values->text[i][0] = '\0';
}

static enum placeholder placeholder_find(const char *name, size_t length)
{
    int i = 0;

    while (i < PLACEHOLDER_COUNT && (strncmp(names[i], name, length) != 0 || names[i][length] != '\0')) i++;
    return (enum placeholder)i;
}

static bool part_add(struct template_part *part, const char *text, size_t length, enum placeholder then)
{
    if (part->count == TEMPLATE_PIECES_MAX) return false;
    part->piece[part->count].text = text;
    part->piece[part->count].length = length;
    part->piece[part->count++].then = then;
    part->fixed += length;
    return true;
}

bool template_parse(struct template_part *part, const char *text, bool html,
                    char problem[TEMPLATE_PROBLEM_SIZE])
{
    bool fits = true;

    part->html = html;
    part->count = 0;
    part->fixed = 0;
    for (const char *open; fits && (open = strstr(text, "{{")) != NULL;) {
        const char *name = open + 2;
        const char *close = strstr(name, "}}");
        enum placeholder found = close == NULL ? PLACEHOLDER_COUNT
                                               : placeholder_find(name, (size_t)(close - name));
        if (found == PLACEHOLDER_COUNT) {
            int length = close == NULL ? 0 : close - name > 30 ? 30 : (int)(close - name);
            (void)snprintf(problem, TEMPLATE_PROBLEM_SIZE, close == NULL ? "has {{ without }}"
                           : "has the unknown placeholder {{%.*s}}", length, name);
            return false;
        }
        fits = part_add(part, text, (size_t)(open - text), found);
        text = close + 2;
    }
    if (fits && part_add(part, text, strlen(text), PLACEHOLDER_COUNT)) return true;
    (void)snprintf(problem, TEMPLATE_PROBLEM_SIZE, "has more than %d placeholders",
                   (int)TEMPLATE_PIECES_MAX - 1);
    return false;
}

/* Filling in */

static const char special[] = "&<>\"'";
static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

static const char *escape_of(char character)
{
    return escapes[strchr(special, character) - special];
}

static size_t escaped_length(const char *text)
{
    size_t length = strlen(text);

    for (text += strcspn(text, special); *text != '\0'; text += strcspn(text, special)) {
        length += strlen(escape_of(*text++)) - 1;
    }
    return length;
}

static char *put(char *out, const char *text, size_t length)
{
    memcpy(out, text, length);
    return out + length;
}

static char *put_escaped(char *out, const char *text)
{
    for (;;) {
        size_t plain = strcspn(text, special);
        out = put(out, text, plain);
        text += plain;
        if (*text == '\0') return out;
        out = put(out, escape_of(*text), strlen(escape_of(*text)));
        text++;
    }
}

size_t template_length(const struct template_part *part, const struct template_values *values)
{
    size_t length = part->fixed;

    for (int i = 0; i < part->count; i++) {
        const char *value = values->text[part->piece[i].then];
        length += part->html ? escaped_length(value) : strlen(value);
    }
    return length;
}

void template_write(const struct template_part *part, const struct template_values *values, char *out)
{
    for (int i = 0; i < part->count; i++) {
        const char *value = values->text[part->piece[i].then];
        out = put(out, part->piece[i].text, part->piece[i].length);
        out = part->html ? put_escaped(out, value) : put(out, value, strlen(value));
    }
}

/* Checking */

/* One of the three texts, as the checks go over them. */
struct part_rules {
    const char *name;
    const char *text;
    size_t most;                 /* bytes */
    bool html;
    bool line;                   /* one line, and it may not carry anything */
};

static bool refuse(char problem[TEMPLATE_PROBLEM_SIZE], const char *name, const char *what)
{
    char copy[TEMPLATE_PROBLEM_SIZE];

    (void)snprintf(copy, sizeof copy, "%s", what);   /* `what` may be `problem` */
    (void)snprintf(problem, TEMPLATE_PROBLEM_SIZE, "%s %.*s", name, TEMPLATE_PROBLEM_SIZE - 16, copy);
    return false;
}

static const char *characters_problem(const struct part_rules *part)
{
    if (part->text[0] == '\0' || part->text[strspn(part->text, " \n")] == '\0') return "is empty";
    if (strlen(part->text) > part->most) return "is too long";
    if (part->line ? normalize_has_hidden(part->text) : normalize_has_hidden_lines(part->text)) {
        return part->line ? "has a line break, a control or an invisible character"
                          : "has a control or an invisible character other than the line feed";
    }
    /* Mail readers and telephones make a link of anything that looks like one. */
    if (strstr(part->text, "://") != NULL || strstr(part->text, "www.") != NULL) {
        return "has an address to open; the only one that a message may have is {{link}}";
    }
    return NULL;
}

/* "{{practice_name}}, {{practice}}, {{link}} and so on" of a set of bits. */
static void allowed_list(unsigned allowed, char *out, size_t size)
{
    size_t used = 0;

    for (int i = 0; i < PLACEHOLDER_COUNT; i++) {
        if ((allowed & (1u << i)) == 0 || used >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s{{%s}}", used == 0 ? "" : ", ", names[i]);
    }
}

/* What touches a link would become part of it, or keep telephones from making one of it. */
static bool stands_apart(const char *text, const char *placeholder)
{
    static const char around[] = " \n<>\"'";
    const char *end = strstr(placeholder, "}}") + 2;

    return (placeholder == text || strchr(around, placeholder[-1]) != NULL) && strchr(around, *end) != NULL;
}

static bool placeholders_check(const struct template_rules *rules, const struct part_rules *part,
                               char problem[TEMPLATE_PROBLEM_SIZE])
{
    struct template_part parsed;
    unsigned allowed = part->line ? rules->allowed & ~rules->carries : rules->allowed;
    unsigned lacks = part->line ? 0 : rules->carries;
    char list[TEMPLATE_PROBLEM_SIZE / 2];
    size_t used;

    allowed_list(allowed, list, sizeof list);
    if (!template_parse(&parsed, part->text, part->html, problem)) {
        used = strlen(problem);
        (void)snprintf(problem + used, TEMPLATE_PROBLEM_SIZE - used, "; it may have %s", list);
        return refuse(problem, part->name, problem);
    }
    for (int i = 0; i < parsed.count; i++) {
        enum placeholder then = parsed.piece[i].then;
        if (then == PLACEHOLDER_COUNT) continue;
        lacks &= ~(1u << then);
        if ((allowed & (1u << then)) == 0) {
            (void)snprintf(problem, TEMPLATE_PROBLEM_SIZE, "has {{%s}}, which is not for it; it may have %s",
                           names[then], list);
            return refuse(problem, part->name, problem);
        }
        if (then == PLACEHOLDER_link && !stands_apart(part->text, parsed.piece[i].text + parsed.piece[i].length)) {
            return refuse(problem, part->name, "has something right before or after {{link}}; put blanks around it");
        }
    }
    if (lacks == 0) return true;
    allowed_list(lacks, list, sizeof list);
    (void)snprintf(problem, TEMPLATE_PROBLEM_SIZE, "lacks %s", list);
    return refuse(problem, part->name, problem);
}

static bool part_check(const struct template_rules *rules, const struct part_rules *part,
                       char problem[TEMPLATE_PROBLEM_SIZE])
{
    const char *what = characters_problem(part);

    if (what != NULL) return refuse(problem, part->name, what);
    if (part->html && !html_check(part->text, problem, TEMPLATE_PROBLEM_SIZE)) {
        return refuse(problem, part->name, problem);
    }
    return placeholders_check(rules, part, problem);
}

bool template_check(const struct template_rules *rules, const struct template_source *source,
                    char problem[TEMPLATE_PROBLEM_SIZE])
{
    const struct part_rules parts[] = {
        {"subject", source->subject, TEMPLATE_SUBJECT_MAX, false, true},
        {"text", source->text, TEMPLATE_TEXT_MAX, false, false},
        {"html", source->html, TEMPLATE_HTML_MAX, true, false},
    };

    if (source->text == NULL) return refuse(problem, "text", "is missing");
    if (rules->subject && source->subject == NULL) return refuse(problem, "subject", "is missing");
    if (!rules->subject && source->subject != NULL) {
        return refuse(problem, "subject", "is for email and what is printed alone; leave it NULL");
    }
    if (!rules->html && source->html != NULL) return refuse(problem, "html", "is for email alone; leave it NULL");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].text != NULL && !part_check(rules, &parts[i], problem)) return false;
    }
    if (!rules->opt_out || strstr(source->text, "STOP") != NULL) return true;
    return refuse(problem, "text", "does not say how to opt out; add that the answer STOP does");
}
