/*
** Email addresses and phone numbers: what is well formed, how they compare, how they are shown.
** A pure leaf: no SQLite here.
*/
#ifndef PORTAL_CONTACT_H
#define PORTAL_CONTACT_H

#include <stddef.h>

/* RFC 5321 section 4.5.3.1: a path of 256 octets with its angle brackets. */
enum { CONTACT_EMAIL_MAX = 254, CONTACT_LOCAL_PART_MAX = 64 };

/* ITU-T E.164: at most 15 digits, here with the leading "+". */
enum { CONTACT_PHONE_MAX = 16 };

/* A size that every normalised contact fits into, with its NUL. */
enum { CONTACT_SIZE = CONTACT_EMAIL_MAX + 1 };

/*
** Normalises an email address: white space at either end dropped, NFKC, lower case.  Marks are
** kept: jose@ and josé@ are two mailboxes; so is ß, for straße.de and strasse.de have two owners.
**
** Well formed is an unquoted RFC 5322 dot-atom, or its internationalised form (RFC 6531), an "@"
** and a domain of at least two labels (letters, digits and inner hyphens; no address literals).
**
** Returns NULL and fills `out` (CONTACT_SIZE bytes), or a static phrase that says what is wrong,
** fit to follow "the email address " ("has no @", "has a control or invisible character", "is too
** long (254 bytes at most)", "has a space in it", "is empty", ...); then `out` is empty.
*/
const char *contact_normalize_email(const char *email, char out[CONTACT_SIZE]);

/*
** Normalises a phone number to E.164 ("+16175550142").  Digits, spaces, hyphens, full stops,
** slashes, parentheses and one leading "+" (or "00") may be there; white space at either end is
** dropped.  `country_code` is the practice's calling code without "+" ("1"; NULL or "" for none:
** then national numbers are refused); it goes before a national number, whose trunk prefix is dropped (0,
** but 1 for "1", 8 for "7", 06 for "36", and none in Italy and others whose numbers keep their 0).
** With country code 1 or 7 a number has ten national digits.
**
** Returns NULL and fills `out`, or a static phrase fit to follow "the phone number " ("has a letter
** in it", "is too short", "is too long (15 digits at most)", "has a control or invisible character",
** ...); then `out` is empty.
*/
const char *contact_normalize_phone(const char *phone, const char *country_code,
                                    char out[CONTACT_SIZE]);

/*
** How a normalised contact is shown to staff, so that a shoulder-surfer learns little:
** "a•••@example.com" (first code point and domain), "•••0142" (last four digits).
** Cut to fit into `size` bytes, never within a code point.
*/
void contact_mask(const char *contact, char *out, size_t size);

#endif
