#include "poster_paper.h"

#include <malloc.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef POSTER_FONTS
#define POSTER_FONTS "/usr/share/fonts/truetype/dejavu"
#endif

static const float leading = 1.35F;

/* Libharu crashes where memory is refused: it has none of SQLite's, which a program may limit. */
static void *allocate(HPDF_UINT size)
{
    return malloc(size);
}

/* What is printed may be somebody's link. */
static void release(void *memory)
{
    if (memory != NULL) explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

struct color color_of(const char *text)
{
    unsigned long value = *text == '#' ? strtoul(text + 1, NULL, 16) : 0;

    return (struct color){(float)(value >> 16 & 255) / 255, (float)(value >> 8 & 255) / 255, (float)(value & 255) / 255};
}

/* Which text the letters stand for: the codes of the fonts are those of Unicode.  What libharu has there is no such map. */
static bool map_set(const struct paper *paper, HPDF_Font font)
{
    static const char map[] =
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        "1 beginbfrange <0000> <FFFF> <0000> endbfrange\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end\n";
    HPDF_Dict stream = HPDF_DictStream_New(paper->doc->mmgr, paper->doc->xref);

    if (stream == NULL || HPDF_Stream_WriteStr(stream->stream, map) != HPDF_OK) return false;
    return HPDF_Dict_Add(font, "ToUnicode", stream) == HPDF_OK;
}

/* Subsets of the fonts go into the file: their licence allows that (Bitstream Vera; changes in the public domain). */
static bool fonts_load(struct paper *paper, portal_print *print)
{
    static const char *const files[WEIGHTS] = {POSTER_FONTS "/DejaVuSans.ttf", POSTER_FONTS "/DejaVuSans-Bold.ttf"};

    for (int i = 0; i < WEIGHTS; i++) {
        const char *name = HPDF_LoadTTFontFromFile(paper->doc, files[i], HPDF_TRUE);
        paper->font[i] = name == NULL ? NULL : HPDF_GetFont(paper->doc, name, "UTF-8");
        if (paper->font[i] != NULL && map_set(paper, paper->font[i])) continue;
        if (HPDF_GetError(paper->doc) == HPDF_FAILD_TO_ALLOC_MEM) return false;
        print->wrong = sqlite3_mprintf("the font %s can not be read; install fonts-dejavu-core", files[i]);
        return false;
    }
    return true;
}

/* Libharu knows no way to say in which language a document is. */
static void language_set(const struct paper *paper, const char *language)
{
    HPDF_String text = HPDF_String_New(paper->doc->mmgr, language, NULL);

    if (text != NULL) (void)HPDF_Dict_Add(paper->doc->catalog, "Lang", text);
}

static void facts_set(const struct paper *paper, const portal_sheet *sheet)
{
    time_t seconds = (time_t)sheet->created_at;
    struct tm utc;
    HPDF_Date date;

    (void)gmtime_r(&seconds, &utc);
    date = (HPDF_Date){utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, 'Z', 0, 0};
    (void)HPDF_SetInfoAttr(paper->doc, HPDF_INFO_TITLE, sheet->title);
    (void)HPDF_SetInfoAttr(paper->doc, HPDF_INFO_AUTHOR, sheet->practice);
    (void)HPDF_SetInfoDateAttr(paper->doc, HPDF_INFO_CREATION_DATE, date);
    language_set(paper, sheet->language);
}

bool paper_open(struct paper *paper, const portal_sheet *sheet, portal_print *print)
{
    HPDF_PageSizes size = strcmp(sheet->paper, "A4") == 0 ? HPDF_PAGE_SIZE_A4 : HPDF_PAGE_SIZE_LETTER;

    memset(paper, 0, sizeof *paper);
    paper->doc = HPDF_NewEx(NULL, allocate, release, 0, NULL);
    if (paper->doc == NULL) return false;
    (void)HPDF_UseUTFEncodings(paper->doc);
    (void)HPDF_SetCurrentEncoder(paper->doc, "UTF-8");
    (void)HPDF_SetCompressionMode(paper->doc, HPDF_COMP_ALL);
    if (HPDF_GetError(paper->doc) != HPDF_OK || !fonts_load(paper, print)) return false;
    paper->page = HPDF_AddPage(paper->doc);
    (void)HPDF_Page_SetSize(paper->page, size, HPDF_PAGE_PORTRAIT);
    facts_set(paper, sheet);
    if (HPDF_GetError(paper->doc) != HPDF_OK) return false;
    paper->width = HPDF_Page_GetWidth(paper->page);
    paper->height = HPDF_Page_GetHeight(paper->page);
    return true;
}

void paper_close(struct paper *paper)
{
    if (paper->doc != NULL) HPDF_Free(paper->doc);
}

/* Bytes of the character at `text`, which is UTF-8. */
static size_t character_length(const char *text)
{
    size_t length = 1;

    while ((text[length] & 0xC0) == 0x80) length++;
    return length;
}

static unsigned code_point(const char *text)
{
    size_t length = character_length(text);
    unsigned point = (unsigned char)*text;

    if (length > 1) point &= 0xFFU >> (length + 1);
    for (size_t i = 1; i < length; i++) point = point << 6 | ((unsigned char)text[i] & 0x3FU);
    return point;
}

/* Letters that stand side by side as they are typed: no shaping, no direction, no accents to be put over others. */
static bool is_simple(unsigned point)
{
    static const struct { unsigned first, last; } ranges[] = {
        {0x20, 0x7E},       /* ASCII */
        {0xA0, 0xAC}, {0xAE, 0x2FF},   /* Latin, modifiers; no soft hyphen */
        {0x370, 0x482}, {0x48A, 0x58F},  /* Greek, Cyrillic, Armenian; no marks */
        {0x10A0, 0x10FF},   /* Georgian */
        {0x1E00, 0x1FFF},   /* Vietnamese and others, polytonic Greek */
        {0x2010, 0x2027}, {0x2030, 0x205E},   /* dashes, quotation marks; no direction marks */
        {0x20A0, 0x20BF}, {0x2100, 0x218F},   /* currencies, trade marks */
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) return true;
    }
    return false;
}

static bool has_glyph(HPDF_Font font, unsigned point)
{
    HPDF_FontDef definition = ((HPDF_FontAttr)font->attr)->fontdef;

    return HPDF_TTFontDef_GetGlyphid(definition, (HPDF_UINT16)point) != 0;
}

bool paper_can(const struct paper *paper, const char *text, portal_print *print)
{
    for (; *text != '\0'; text += character_length(text)) {
        unsigned point = code_point(text);
        if (*text == '\n') continue;
        if (is_simple(point) && has_glyph(paper->font[REGULAR], point) && has_glyph(paper->font[BOLD], point)) continue;
        (void)sqlite3_snprintf(PORTAL_CHARACTER_SIZE, print->character, "%.*s", (int)character_length(text), text);
        return false;
    }
    return true;
}

static float text_width(const struct paper *paper, const struct type *type, const char *text, size_t length)
{
    HPDF_TextWidth width = HPDF_Font_TextWidth(paper->font[type->weight], (const HPDF_BYTE *)text, (HPDF_UINT)length);

    return (float)width.width * type->size / 1000 + (float)width.numchars * type->spacing;
}

/* Bytes of a text that go on one line: up to a blank; of a word that is longer than the line, up to a slash if there is one. */
static size_t line_length(const struct paper *paper, const struct type *type, const char *text, float width)
{
    size_t fits = 0;
    size_t length = 0;

    for (;;) {
        length += strspn(text + length, " ");
        length += strcspn(text + length, " ");
        if (text_width(paper, type, text, length) > width) break;
        fits = length;
        if (text[length] == '\0') return fits;
    }
    if (fits > 0) return fits;
    fits = character_length(text);
    while (text[fits] != '\0' && text_width(paper, type, text, fits + character_length(text + fits)) <= width) {
        fits += character_length(text + fits);
        if (text[fits - 1] == '/') length = fits;
    }
    return length <= fits ? length : fits;
}

static void line_draw(const struct paper *paper, const struct type *type, const char *text, size_t length, float x, float y)
{
    char *line = sqlite3_mprintf("%.*s", (int)length, text);

    if (line == NULL) {
        (void)HPDF_SetError(&paper->doc->error, HPDF_FAILD_TO_ALLOC_MEM, 0);
        return;
    }
    (void)HPDF_Page_BeginText(paper->page);
    (void)HPDF_Page_SetFontAndSize(paper->page, paper->font[type->weight], type->size);
    (void)HPDF_Page_SetCharSpace(paper->page, type->spacing);
    (void)HPDF_Page_SetRGBFill(paper->page, type->color.red, type->color.green, type->color.blue);
    (void)HPDF_Page_TextOut(paper->page, x, paper->height - y, line);
    (void)HPDF_Page_EndText(paper->page);
    explicit_bzero(line, length);
    sqlite3_free(line);
}

float paper_text(const struct paper *paper, const struct type *type, const char *text, float x, float y, float width)
{
    float top = y;

    while (*(text += strspn(text, " ")) != '\0') {
        size_t length = line_length(paper, type, text, width);
        float indent = type->centered ? (width - text_width(paper, type, text, length)) / 2 : 0;
        if (paper->drawing) line_draw(paper, type, text, length, x + indent, y + type->size);
        y += type->size * leading;
        text += length;
    }
    return y - top;
}

float paper_size(const struct paper *paper, enum weight weight, const char *text, float width, float most, int lines)
{
    struct paper measured = *paper;
    struct type type = {.weight = weight, .size = most};

    measured.drawing = false;
    while (type.size > 6 && paper_text(&measured, &type, text, 0, 0, width) > ((float)lines + 0.5F) * type.size * leading) {
        type.size *= 0.95F;
    }
    return type.size;
}

void paper_box(const struct paper *paper, struct color color, float x, float y, float width, float height)
{
    if (!paper->drawing) return;
    (void)HPDF_Page_SetRGBFill(paper->page, color.red, color.green, color.blue);
    (void)HPDF_Page_Rectangle(paper->page, x, paper->height - y - height, width, height);
    (void)HPDF_Page_Fill(paper->page);
}

void paper_disc(const struct paper *paper, struct color color, float x, float y, float radius)
{
    if (!paper->drawing) return;
    (void)HPDF_Page_SetRGBFill(paper->page, color.red, color.green, color.blue);
    (void)HPDF_Page_Circle(paper->page, x, paper->height - y, radius);
    (void)HPDF_Page_Fill(paper->page);
}

/* The dark modules of a row, as many side by side as there are to a rectangle; the caller fills them all at once. */
static void row_draw(const struct paper *paper, const QRcode *qr, int row, float x, float y, float module)
{
    const unsigned char *cell = qr->data + (ptrdiff_t)row * qr->width;

    for (int from = 0, to; from < qr->width; from = to + 1) {
        to = from;
        while (to < qr->width && (cell[to] & 1) != 0) to++;
        if (to == from) continue;
        (void)HPDF_Page_Rectangle(paper->page, x + (float)from * module, paper->height - y - module, (float)(to - from) * module,
                                  module);
    }
}

bool paper_qr(const struct paper *paper, const char *text, float x, float y, float side)
{
    enum { QUIET = 4 };     /* ISO/IEC 18004 section 6.3.8 */
    QRcode *qr;
    float module;

    if (!paper->drawing) return true;
    qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (qr == NULL) return false;
    module = side / (float)(qr->width + 2 * QUIET);
    paper_box(paper, (struct color){1, 1, 1}, x, y, side, side);
    (void)HPDF_Page_SetRGBFill(paper->page, 0, 0, 0);
    for (int row = 0; row < qr->width; row++) {
        row_draw(paper, qr, row, x + QUIET * module, y + (float)(row + QUIET) * module, module);
    }
    (void)HPDF_Page_Fill(paper->page);
    explicit_bzero(qr->data, (size_t)qr->width * (size_t)qr->width);
    QRcode_free(qr);
    return true;
}

static HPDF_UINT16 number_read(HPDF_Stream stream)
{
    HPDF_BYTE bytes[2] = {0, 0};
    HPDF_UINT size = sizeof bytes;

    (void)HPDF_Stream_Read(stream, bytes, &size);
    return (HPDF_UINT16)(bytes[0] << 8 | bytes[1]);
}

/* Has the glyphs embedded that a glyph is made of (OpenType, table glyf).  True: one of them was not yet. */
static bool parts_take(HPDF_TTFontDefAttr font, HPDF_UINT16 glyph)
{
    enum { COMPOSITE = 0xFFFF, WORDS = 1, SCALE = 8, MORE = 32, SCALES = 64, MATRIX = 128 };
    HPDF_UINT32 place = font->glyph_tbl.offsets[glyph] << (font->header.index_to_loc_format == 0);
    bool taken = false;
    unsigned flags;

    (void)HPDF_Stream_Seek(font->stream, (HPDF_INT)(font->glyph_tbl.base_offset + place), HPDF_SEEK_SET);
    if (number_read(font->stream) != COMPOSITE) return false;
    (void)HPDF_Stream_Seek(font->stream, 8, HPDF_SEEK_CUR);
    do {
        unsigned part;
        flags = number_read(font->stream);
        part = number_read(font->stream) % font->num_glyphs;
        (void)HPDF_Stream_Seek(font->stream, (HPDF_INT)(2 + 2 * !!(flags & WORDS) + 2 * !!(flags & SCALE) +
                                                        4 * !!(flags & SCALES) + 8 * !!(flags & MATRIX)), HPDF_SEEK_CUR);
        taken |= font->glyph_tbl.flgs[part] == 0;
        font->glyph_tbl.flgs[part] = 1;
    } while ((flags & MORE) != 0);
    return taken;
}

/* Libharu embeds the parts of a letter, but not those of the parts: ễ would lose its circumflex, Ё its E. */
static void parts_embed(HPDF_Font font)
{
    HPDF_TTFontDefAttr attr = ((HPDF_FontAttr)font->attr)->fontdef->attr;
    bool taken = true;

    while (taken) {
        taken = false;
        for (HPDF_UINT16 glyph = 0; glyph < attr->num_glyphs; glyph++) {
            if (attr->glyph_tbl.flgs[glyph] != 0) taken |= parts_take(attr, glyph);
        }
    }
}

/* All of it is in memory, zlib's as well: nothing else can be wanting. */
bool paper_finish(struct paper *paper, portal_print *print)
{
    HPDF_UINT32 size;

    for (int i = 0; i < WEIGHTS; i++) parts_embed(paper->font[i]);
    (void)HPDF_SaveToStream(paper->doc);
    if (HPDF_GetError(paper->doc) != HPDF_OK) return false;
    size = HPDF_GetStreamSize(paper->doc);
    print->pdf = sqlite3_malloc64(size);
    print->size = size;
    return print->pdf != NULL && HPDF_ReadFromStream(paper->doc, print->pdf, &size) == HPDF_OK;
}
