/*
** Accounts: user names and passwords, wrong ones and what they cost, forgotten ones.
*/
#ifndef PORTAL_ACCOUNT_H
#define PORTAL_ACCOUNT_H

#include "patient.h"
#include "password.h"

enum { USERNAME_MIN = 3, USERNAME_MAX = 64, ACCOUNT_NAME_MAX = 200 };

enum { USERNAME_SIZE = 4 * USERNAME_MAX + 1 };

struct account {
    sqlite3_int64 account_id;
    char username[USERNAME_SIZE];      /* as its owner wrote it */
    char password[PASSWORD_HASH_SIZE];
};

/* Why a user name can not be used, as the patient is told, or NULL; `key` gets how it is compared. */
const char *account_username_problem(const char *username, char *key, size_t size);

/* SQLITE_ROW and the account, SQLITE_DONE, or an error code. */
int account_find(struct portal *portal, const char *username_key, struct account *account);

/* What a new account is made of; all are texts of the caller's. */
struct account_entry {
    const char *username;
    const char *username_key;
    const char *password_hash;
    const char *name;
    enum medium medium;        /* of the contact that received the PIN */
    const char *contact;
};

/* Inserts it within a scope.  *taken when the user name is; then nothing is written. */
int account_insert(struct portal *portal, const struct account_entry *entry,
                   sqlite3_int64 *account_id, bool *taken);

/*
** Checks a password as a login does, in scopes of its own: counts the try durably before it
** compares, takes as long for an unknown name, and refuses while the account's or the client's delay
** lasts.  *right gets the answer.  `key` is "" for a name that is not valid.
*/
int account_authenticate(struct portal *portal, const char *key, const char *password,
                         struct account *account, bool *right);

/*
** A write that matters to nobody: what refuses somebody takes a commit too, so that its time tells
** nothing.
*/
int account_same_time(struct portal *portal);

/* Stores a login's time, and its password's new hash when the parameters have changed. */
int account_signed_in(struct portal *portal, const struct account *account, const char *password);

/* portal_login(): in scopes of its own.  `session` is "" when it is refused. */
int account_login(struct portal *portal, const char *username, const char *password,
                  char session[TOKEN_SIZE]);

/* unlock_account(): forgets wrong passwords.  Within a scope. */
int account_unlock(struct portal *portal, const char *username);

/*
** Queues a message about an account to its own contact; *told is false when that has opted out.  Within a
** scope.
*/
int account_tell(struct portal *portal, sqlite3_int64 account_id, const char *kind, bool *told);

/* set_account_contact(): an email address or a telephone number.  Within a scope. */
int account_set_contact(struct portal *portal, const char *username, const char *contact);

#endif
