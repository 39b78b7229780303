/* What pages look like: in the practice's colour, and the same for everybody. */
#include "pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Black or white, whichever can be read better on a colour: never less than 4.5 to 1 (WCAG 2.2, 1.4.3). */
static const char *ink_on(const char *color)
{
    static const double weights[] = {0.2126, 0.7152, 0.0722};
    double luminance = 0;

    for (int i = 0; i < 3 && strlen(color) == 7; i++) {
        const char digits[] = {color[1 + 2 * i], color[2 + 2 * i], '\0'};
        double part = (double)strtol(digits, NULL, 16) / 255;
        luminance += weights[i] * (part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4));
    }
    return luminance > 0.179 ? "#000000" : "#ffffff";
}

static void look(struct exchange *exchange, struct desk *desk, const char *file, const char *type)
{
    cJSON *values = cJSON_CreateObject();
    const cJSON *practice = desk_practice(desk);

    (void)cJSON_AddStringToObject(values, "ink", ink_on(page_answered(practice, "color")));
    (void)cJSON_AddItemReferenceToObject(values, "practice", (cJSON *)practice);
    exchange->status = 200;
    exchange->type = type;
    exchange->cached = true;
    exchange->body = view_render(file, exchange->texts, values);
    cJSON_Delete(values);
}

void page_style(struct exchange *exchange, struct desk *desk)
{
    look(exchange, desk, "style.css", "text/css; charset=utf-8");
}

void page_icon(struct exchange *exchange, struct desk *desk)
{
    look(exchange, desk, "icon.svg", "image/svg+xml");
}
