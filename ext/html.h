/*
** Checks HTML that is to be mailed.  A pure leaf: no SQLite here.
*/
#ifndef PORTAL_HTML_H
#define PORTAL_HTML_H

#include <stdbool.h>
#include <stddef.h>

/*
** Takes a small part of HTML that every mail reader shows alike and none can be tricked with, and
** refuses all else: some elements without any that loads, runs or asks for something, each closed
** where it was opened; few attributes, quoted, of plain values; links to {{link}} alone; the character
** references that text needs; no comments.
**
** False, and `problem` a phrase, "has <script>, ...", when it refuses.
*/
bool html_check(const char *html, char *problem, size_t size);

#endif
