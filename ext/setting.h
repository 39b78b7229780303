/*
** Settings.  One list, here; the table portal_settings, portal_setting(), the defaults, the checks
** and the reference come from it.
*/
#ifndef PORTAL_SETTING_H
#define PORTAL_SETTING_H

#include "portal.h"

struct portal;

/* X(name, default, kind, least, most, description) */
#define SETTING_LIST(X) \
    X(practice_name, "Your medical practice", LINE, 1, 60, \
      "The practice's name, as messages show it.") \
    X(practice_phone, "", PHONE, 0, 40, \
      "The practice's telephone number, as messages show it.") \
    X(portal_url, "http://localhost:8080", URL, 1, 200, \
      "Where the portal's pages are. Plain http only for this very machine.") \
    X(portal_color, "#0b5f83", COLOR, 1, 40, \
      "Colour of headings and buttons on the portal's pages, as #rrggbb.") \
    X(mail_from, "portal@localhost.localdomain", EMAIL, 1, 254, \
      "Sender address of mail.") \
    X(country_code, "1", DIGITS, 1, 3, \
      "Telephone country code of numbers written without one.") \
    X(link_hours, "72", NUMBER, 1, 720, \
      "Hours that a registration link is good for, from hand-over to the channel.") \
    X(pin_minutes, "10", NUMBER, 1, 60, \
      "Minutes that a PIN is good for.") \
    X(reset_minutes, "60", NUMBER, 1, 1440, \
      "Minutes that a password reset link is good for.") \
    X(resend_seconds, "60", NUMBER, 0, 3600, \
      "Seconds to wait before the same patient and contact are sent another link or PIN.") \
    X(sends_per_day, "10", NUMBER, 1, 1000, \
      "Registrations in 24 hours to one patient, and to one destination.") \
    X(requests_per_day, "200", NUMBER, 1, 10000, \
      "Changed fields that one person may submit in 24 hours; a submission is taken whole or not.") \
    X(email_channel, "maildir", NAME, 1, 40, \
      "Channel that carries email.") \
    X(text_channel, "maildir", NAME, 1, 40, \
      "Channel that carries text messages.") \
    X(print_channel, "poster", NAME, 1, 40, \
      "Printer that makes posters and letters.") \
    X(paper, "Letter", PAPER, 1, 40, \
      "Size of posters and letters: A4 or Letter.") \
    X(text_segments, "1", NUMBER, 1, 10, \
      "Segments that a text message may take, as its template is written: what it costs.") \
    X(maildir, "", LINE, 0, 1000, \
      "Folder of the channel maildir. Empty: the database's path with -outbox after it.") \
    X(ehr_requires, "email", CONTACTS, 0, 40, \
      "Contacts that must be on file to send from the EHR: email, cell_phone. The contact of the " \
      "channel is always required.") \
    X(scheduling_requires, "email, cell_phone", CONTACTS, 0, 40, \
      "Contacts that must be on file to send from Scheduling.") \
    X(self_registration_age, "0", NUMBER, 0, 120, \
      "Younger patients register through a representative only. 0: no limit.") \
    X(representative_age, "18", NUMBER, 0, 120, \
      "Birthday on which representatives who were given access before it lose it, unless confirmed. A parent " \
      "stands for a minor alone (45 CFR 164.502(g)(3)); when one is of age is the law of your state. 0: never.") \
    X(session_idle_minutes, "30", NUMBER, 1, 1440, \
      "Minutes without use after which a session ends.") \
    X(session_hours, "12", NUMBER, 1, 168, \
      "Hours after which a session ends.") \
    X(lease_seconds, "300", NUMBER, 10, 86400, \
      "Seconds that a sender has to report on the messages it claimed.")

enum setting {
#define SETTING_ENUM(name, standard, kind, least, most, description) SETTING_##name,
    SETTING_LIST(SETTING_ENUM)
#undef SETTING_ENUM
    SETTING_COUNT
};

/* The values in force, as read when `stamp` was in portal_state; texts are owned. */
struct settings {
    sqlite3_int64 stamp;
    int loaded;
    char *text[SETTING_COUNT];
    sqlite3_int64 number[SETTING_COUNT];
};

const char *setting_text(const struct portal *portal, enum setting setting);
sqlite3_int64 setting_number(const struct portal *portal, enum setting setting);

/* A row of the list.  key is NULL past its end. */
struct setting_row {
    const char *key;
    const char *standard;
    const char *description;
};
struct setting_row setting_row(int index);

/* Its index by key, or -1. */
int setting_find(const char *key);

/* Reads all from the table, as they are under a stamp.  SQLITE_OK or an error code. */
int setting_load(struct portal *portal, sqlite3_int64 stamp);

/* The value in force of a channel's option, sqlite3_free(). */
int setting_option(struct portal *portal, const portal_option *option, char **value);

/* portal_setting(key): the value in force of ours or a channel's, sqlite3_free().  REFUSED for another key. */
int setting_tell(struct portal *portal, const char *key, char **value);

/* portal_setting(key, value): checks and stores; value NULL restores the default. */
int setting_store(struct portal *portal, const char *key, const char *value);

void setting_clear(struct settings *settings);

#endif
