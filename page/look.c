/* What pages look like: in the practice's colour, and the same for everybody. */
#include "pages.h"

#include "color.h"

static void look(struct exchange *exchange, struct desk *desk, const char *file, const char *type)
{
    cJSON *values = cJSON_CreateObject();
    const cJSON *practice = desk_practice(desk);

    (void)cJSON_AddStringToObject(values, "ink", color_ink(page_answered(practice, "color")));
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
