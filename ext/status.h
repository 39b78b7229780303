/*
** What staff see of a patient: the sentences of portal_status, and of the calls that send.
*/
#ifndef PORTAL_STATUS_H
#define PORTAL_STATUS_H

#include "registration.h"

/* Columns of sql/status.sql. */
enum status_column {
    STATUS_PATIENT_ID,            /* here on the columns of patient_from_row() */
    STATUS_PERSON,
    STATUS_PATIENT_NAME = STATUS_PATIENT_ID + PATIENT_COLUMNS,
    STATUS_STATUS,
    STATUS_SENT_AT,
    STATUS_CHANNEL,
    STATUS_SENT_BY,
    STATUS_EXPIRES_AT,
    STATUS_REGISTERED_AT,
    STATUS_LAST_LOGIN_AT,
    STATUS_REVOKED_AT,
    STATUS_REVOKED_BY,
    STATUS_RECIPIENT,
    STATUS_DETAIL,
    STATUS_MESSAGE_STATUS,
    STATUS_REGISTRATION_ID,
    STATUS_REGISTRATION_STATUS,
    STATUS_CREATED_AT,
    STATUS_ENDED_AT,
    STATUS_GUESSES,
    STATUS_PINS,
    STATUS_DESTINATION,
    STATUS_IDENTITY,
    STATUS_SAME_PERSON
};

/*
** The state of a row of sql/status.sql, "not sent" to "registered", until the next.  SQLITE_OK or an
** error code.
*/
int status_name(struct portal *portal, sqlite3_stmt *row, const char **status);

/* The sentence the EHR shows for a row in this state; sqlite3_malloc'd. */
int status_message(struct portal *portal, sqlite3_stmt *row, const char *status, char **text);

/* Why this person can not get in and what staff do about it; *text is NULL when there is nothing. */
int status_next_step(struct portal *portal, sqlite3_stmt *row, const char *status, char **text);

/* The sentence about the newest registration of a patient, whatever else there is. */
int status_of_sending(struct portal *portal, const struct patient_id *patient, char **text);

#endif
