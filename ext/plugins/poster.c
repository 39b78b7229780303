/*
** The printer poster: a poster for the waiting room, and the letter that takes the place of a message.  How they
** look; what they say is the extension's.
*/
#include "poster_paper.h"

#include <ctype.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

/* What tells the two apart; lengths at scale 1. */
struct style {
    float margin, band, name, title, body, url, code, step, foot, qr, gap;
};

static const struct style poster = {.margin = 56, .band = 118, .name = 30, .title = 37, .body = 17, .url = 17, .step = 16,
                                    .foot = 20, .qr = 218, .gap = 21};
static const struct style letter = {.margin = 64, .band = 78, .name = 20, .title = 24, .body = 12, .url = 10, .code = 30,
                                    .step = 12, .foot = 12, .qr = 150, .gap = 14};

/* Where the sheet has got to. */
struct flow {
    struct paper *paper;
    const portal_sheet *sheet;
    const struct style *style;
    struct color color, ink, accent;
    float scale;
    float x, y, width;
    float box_end;           /* of the QR code, which text may stand beside; 0: none does */
    bool linked;             /* the QR code is there */
    bool failed;
};

static const struct color black = {0.13F, 0.13F, 0.13F};

static struct type type_of(const struct flow *flow, enum weight weight, float size)
{
    return (struct type){.weight = weight, .size = size * flow->scale, .color = black};
}

static float length_of(const struct flow *flow, float length)
{
    return length * flow->scale;
}

/* Below the QR code, whatever stands beside it. */
static void box_leave(struct flow *flow)
{
    if (flow->box_end == 0) return;
    if (flow->y < flow->box_end) flow->y = flow->box_end;
    flow->box_end = 0;
    flow->x = flow->style->margin;
    flow->width = flow->paper->width - 2 * flow->style->margin;
    flow->y += length_of(flow, flow->style->gap);
}

static void put_text(struct flow *flow, const struct type *type, const char *text)
{
    flow->y += paper_text(flow->paper, type, text, flow->x, flow->y, flow->width);
    flow->y += length_of(flow, flow->style->gap) / 2;
}

static void put_paragraph(struct flow *flow, const char *text)
{
    struct type type = type_of(flow, REGULAR, flow->style->body);

    put_text(flow, &type, text);
}

/* In the middle of a poster, with the address below; at the left of a letter, with the address and the code beside. */
static void put_url(struct flow *flow, const char *text)
{
    float side = length_of(flow, flow->style->qr);
    bool beside = flow->sheet->code != NULL;
    struct type type = type_of(flow, BOLD, flow->style->url);

    flow->linked = true;
    flow->failed = !paper_qr(flow->paper, text, beside ? flow->x : flow->x + (flow->width - side) / 2, flow->y, side);
    if (beside) {
        flow->box_end = flow->y + side;
        flow->x += side + length_of(flow, flow->style->gap);
        flow->width -= side + length_of(flow, flow->style->gap);
        flow->y += length_of(flow, flow->style->gap);
    } else {
        flow->y += side;
        type.centered = true;
    }
    /* What nobody could guess of a letter's is to stand on one line. */
    type.size = paper_size(flow->paper, BOLD, beside ? strrchr(text, '/') + 1 : text, flow->width, type.size, beside ? 1 : 2);
    put_text(flow, &type, text);
}

static void put_code(struct flow *flow, const char *text)
{
    struct type type = type_of(flow, BOLD, flow->style->code);

    type.color = flow->accent;
    type.spacing = length_of(flow, 4);
    put_text(flow, &type, text);
    box_leave(flow);
}

/* "1. Open ...": the number on a disc of the practice's colour, the text beside it. */
static void put_step(struct flow *flow, const char *text)
{
    struct type number = type_of(flow, BOLD, flow->style->step * 0.85F);
    struct type type = type_of(flow, REGULAR, flow->style->step);
    float radius = length_of(flow, flow->style->step * 0.85F);
    float indent = 3 * radius;
    char digits[] = {*text, '\0'};
    float height;

    box_leave(flow);
    paper_disc(flow->paper, flow->color, flow->x + radius, flow->y + radius, radius);
    number.color = flow->ink;
    number.centered = true;
    (void)paper_text(flow->paper, &number, digits, flow->x, flow->y + radius - number.size * 0.65F, 2 * radius);
    height = paper_text(flow->paper, &type, text + 3, flow->x + indent, flow->y + radius - type.size * 0.65F, flow->width - indent);
    flow->y += (height > 2 * radius ? height : 2 * radius) + length_of(flow, flow->style->gap) / 2;
}

static bool is_step(const char *text)
{
    return isdigit((unsigned char)text[0]) && strncmp(text + 1, ". ", 2) == 0;
}

static void put(struct flow *flow, const char *text)
{
    if (strcmp(text, flow->sheet->url) == 0) put_url(flow, text);
    else if (flow->sheet->code != NULL && strcmp(text, flow->sheet->code) == 0) put_code(flow, text);
    else if (is_step(text)) put_step(flow, text);
    else put_paragraph(flow, text);
}

/* The next paragraph of *text on one line, for sqlite3_free(); NULL: there is none, or no memory. */
static char *paragraph_next(const char **text, struct flow *flow)
{
    const char *start = *text + strspn(*text, "\n");
    const char *end = strstr(start, "\n\n");
    char *paragraph;

    if (*start == '\0') return NULL;
    if (end == NULL) end = start + strlen(start);
    paragraph = sqlite3_mprintf("%.*s", (int)(end - start), start);
    if (paragraph == NULL) {
        flow->failed = true;
        return NULL;
    }
    *text = end;
    for (char *at = paragraph; *at != '\0'; at++) {
        if (*at == '\n') *at = ' ';
    }
    /* Lines end with a line feed. */
    for (size_t length = strlen(paragraph); length > 0 && paragraph[length - 1] == ' ';) paragraph[--length] = '\0';
    return paragraph;
}

static void put_band(struct flow *flow)
{
    const struct style *style = flow->style;
    struct paper *paper = flow->paper;
    float size = paper_size(paper, BOLD, flow->sheet->practice, flow->width, style->name, 2);
    struct type type = {.weight = BOLD, .size = size, .color = flow->ink};
    struct paper measured = *paper;
    float height;

    measured.drawing = false;
    height = paper_text(&measured, &type, flow->sheet->practice, 0, 0, flow->width);
    paper_box(paper, flow->color, 0, 0, paper->width, style->band);
    (void)paper_text(paper, &type, flow->sheet->practice, flow->x, (style->band - height) / 2 + size * 0.1F, flow->width);
    flow->y = style->band + length_of(flow, 1.7F * style->gap);
}

/* From its top down, and where the foot would begin; *foot gets what that says. */
static void put_body(struct flow *flow, const char **foot)
{
    const char *text = flow->sheet->text;
    float most = length_of(flow, flow->style->title);
    struct type title = {.weight = BOLD, .color = flow->accent,
                         .size = paper_size(flow->paper, BOLD, flow->sheet->title, flow->width, most, flow->sheet->code == NULL ? 2 : 1)};
    bool stepped = false;
    char *paragraph;

    put_text(flow, &title, flow->sheet->title);
    for (*foot = text; (paragraph = paragraph_next(&text, flow)) != NULL && !(stepped && !is_step(paragraph)); *foot = text) {
        stepped = stepped || is_step(paragraph);
        put(flow, paragraph);
        sqlite3_free(paragraph);
    }
    sqlite3_free(paragraph);
    if (!flow->linked) put_url(flow, flow->sheet->url);      /* the template has it within a sentence */
    box_leave(flow);
}

/* At the bottom of the sheet, below a rule.  The height it takes. */
static float put_foot(struct flow *flow, const char *text)
{
    const struct style *style = flow->style;
    struct type type = type_of(flow, flow->sheet->code == NULL ? BOLD : REGULAR, style->foot);
    float top = flow->y;
    char *paragraph;

    paper_box(flow->paper, flow->color, flow->x, flow->y, flow->width, 2);
    flow->y += length_of(flow, style->gap) * 0.7F;
    while ((paragraph = paragraph_next(&text, flow)) != NULL) {
        put_text(flow, &type, paragraph);
        sqlite3_free(paragraph);
    }
    return flow->y - top;
}

/* False when it does not fit at this scale. */
static bool lay_out(struct flow *flow, float scale, bool drawing)
{
    const char *foot = NULL;
    struct flow measured;
    float bottom = flow->paper->height - 0.6F * flow->style->margin;

    flow->scale = scale;
    flow->linked = false;
    flow->x = flow->style->margin;
    flow->width = flow->paper->width - 2 * flow->style->margin;
    flow->paper->drawing = drawing;
    put_band(flow);
    put_body(flow, &foot);
    measured = *flow;
    flow->paper->drawing = false;
    bottom -= put_foot(&measured, foot);
    flow->paper->drawing = drawing;
    if (flow->y + length_of(flow, flow->style->gap) / 2 > bottom) return false;
    flow->y = bottom;
    (void)put_foot(flow, foot);
    return true;
}

/* As large as it fits. */
static bool fit(struct flow *flow)
{
    enum { MOST = 125, LEAST = 55, STEP = 2 };

    for (int percent = MOST; percent >= LEAST; percent -= STEP) {
        float scale = (float)percent / 100;
        if (lay_out(flow, scale, false)) return lay_out(flow, scale, true);
    }
    return false;
}

static int draw(struct paper *paper, const portal_sheet *sheet, portal_print *print)
{
    struct flow flow = {.paper = paper, .sheet = sheet, .style = sheet->code == NULL ? &poster : &letter,
                        .color = color_of(sheet->color), .ink = color_of(sheet->ink)};

    if (!paper_can(paper, sheet->practice, print) || !paper_can(paper, sheet->title, print) ||
        !paper_can(paper, sheet->text, print)) {
        return SQLITE_ERROR;
    }
    /* A colour that black can be read on can not be read on white. */
    flow.accent = flow.ink.red > 0 ? flow.color : black;
    if (!fit(&flow)) {
        print->wrong = sqlite3_mprintf("the text does not fit on one sheet; shorten the template");
        return SQLITE_ERROR;
    }
    return !flow.failed && paper_finish(paper, print) ? SQLITE_OK : SQLITE_NOMEM;
}

static int print_sheet(void *data, const portal_sheet *sheet, portal_print *print)
{
    struct paper paper;
    int code = SQLITE_NOMEM;

    (void)data;
    if (paper_open(&paper, sheet, print)) code = draw(&paper, sheet, print);
    paper_close(&paper);
    return print->wrong != NULL ? SQLITE_ERROR : code;
}

int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines);

__attribute__((visibility("default")))
int portal_plugin_init(sqlite3 *db, char **error, const sqlite3_api_routines *routines)
{
    static const portal_printer printer = {.version = PORTAL_API_VERSION, .name = "poster", .release = "1", .print = print_sheet};
    portal_api *api;

    SQLITE_EXTENSION_INIT2(routines);
    api = portal_api_from_db(db);
    if (api == NULL || api->version < 4) {
        *error = sqlite3_mprintf("needs a newer portal.so");
        return SQLITE_ERROR;
    }
    return api->register_printer(api, &printer, NULL, NULL);
}
