/* Colours that can be read. A pure leaf: no SQLite here. */
#ifndef PORTAL_COLOR_H
#define PORTAL_COLOR_H

/*
** Black or white ("#ffffff"), whichever can be read better on a colour ("#rrggbb"): never less than 4.5 to 1 (WCAG 2.2,
** 1.4.3).  A colour that white can be read on can itself be read on white.
*/
const char *color_ink(const char *color);

#endif
