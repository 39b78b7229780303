/* Any text as a template. */
#include "../../ext/html.h"
#include "../../ext/normalize.h"
#include "../../ext/template.h"
#include "fuzz.h"

#include <stdlib.h>

const char fuzz_claim[] = "a template that is taken can be filled in, and shows nothing but what it says";

/* Filled in with values that would break out of HTML; to be freed. */
static char *filled(const char *text, bool html)
{
    static struct template_values values;
    struct template_part part;
    char problem[TEMPLATE_PROBLEM_SIZE];
    size_t length;
    char *out;

    template_values_clear(&values);
    (void)snprintf(values.text[PLACEHOLDER_practice], TEMPLATE_VALUE_SIZE, "<script>\"'&{{link}}");
    (void)snprintf(values.text[PLACEHOLDER_link], TEMPLATE_VALUE_SIZE, "https://x/r/1");
    REQUIRE(template_parse(&part, text, html, problem));
    length = template_length(&part, &values);
    out = malloc(length + 1);
    REQUIRE(out != NULL);
    template_write(&part, &values, out);
    out[length] = '\0';
    REQUIRE(strlen(out) == length);
    return out;
}

/* Subject, text, HTML; as mail and as a text message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct template_rules rules = {true, true, false, (1u << PLACEHOLDER_COUNT) - 1, 0};
    char problem[TEMPLATE_PROBLEM_SIZE] = "";
    char *text[3];
    struct template_source source;

    for (int i = 0; i < 3; i++) text[i] = input_text(&input);
    source = (struct template_source){text[0], text[1], text[2]};
    if (template_check(&rules, &source, problem)) {
        char *html = filled(text[2], true);
        REQUIRE(!normalize_has_hidden(text[0]) && !normalize_has_hidden_lines(text[1]));
        REQUIRE_TELL(strcasestr(html, "<script") == NULL && strcasestr(html, "&#x") == NULL, "%s", html);
        free(html);
        free(filled(text[1], false));
    } else {
        REQUIRE(problem[0] != '\0');
    }
    for (int i = 0; i < 3; i++) free(text[i]);
    return 0;
}
