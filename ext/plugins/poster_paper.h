/*
** A sheet of paper as PDF (libharu): fonts, lines of text, QR codes.  Lengths are points; y counts from the top.
** With `drawing` false everything is measured and nothing is drawn.
*/
#ifndef PORTAL_POSTER_PAPER_H
#define PORTAL_POSTER_PAPER_H

#include "../portal.h"

#include <hpdf.h>
#include <stdbool.h>

enum weight { REGULAR, BOLD, WEIGHTS };

struct color { float red, green, blue; };

struct paper {
    HPDF_Doc doc;
    HPDF_Page page;
    HPDF_Font font[WEIGHTS];
    float width, height;
    bool drawing;
};

/* How a text is set. */
struct type {
    enum weight weight;
    float size;
    struct color color;
    bool centered;
    float spacing;           /* between letters */
};

/* "#0b5f83"; black for what is no colour. */
struct color color_of(const char *text);

/*
** Opens a sheet with its fonts.  False: print->wrong says why, or there is no memory; paper_close() either way.
*/
bool paper_open(struct paper *paper, const portal_sheet *sheet, portal_print *print);
void paper_close(struct paper *paper);

/* True when both fonts have every character of the text, and need no shaping for it; else print->character is the first. */
bool paper_can(const struct paper *paper, const char *text, portal_print *print);

/* Sets a text into lines of `width`, from `y` on down; the height that they take. */
float paper_text(const struct paper *paper, const struct type *type, const char *text, float x, float y, float width);

/* The largest size up to `most` at which the text fits into `lines` lines. */
float paper_size(const struct paper *paper, enum weight weight, const char *text, float width, float most, int lines);

void paper_box(const struct paper *paper, struct color color, float x, float y, float width, float height);
void paper_disc(const struct paper *paper, struct color color, float x, float y, float radius);

/* A QR code with its quiet zone in a square; false when there is no memory. */
bool paper_qr(const struct paper *paper, const char *text, float x, float y, float side);

/* The file, into *print; false when there is no memory. */
bool paper_finish(struct paper *paper, portal_print *print);

#endif
