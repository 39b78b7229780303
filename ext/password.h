/*
** Passwords: which are accepted, how they are hashed.  A pure leaf: no SQLite here.
** NIST SP 800-63B section 5.1.1.2: a minimum length, no composition rules, a block list of words
** the context offers; OWASP Password Storage: Argon2id with 19 MiB and 2 passes.
*/
#ifndef PORTAL_PASSWORD_H
#define PORTAL_PASSWORD_H

#include <stdbool.h>

/* In code points. */
enum { PASSWORD_MIN = 8, PASSWORD_MAX = 128 };

/* crypto_pwhash_STRBYTES, checked at compile time where it is used. */
enum { PASSWORD_HASH_SIZE = 128 };

/* What a password must not equal; each may be NULL. */
struct password_context {
  const char *username;
  const char *first_name;
  const char *last_name;
  const char *date_of_birth;   /* YYYY-MM-DD; also refused as digits in the usual orders */
  const char *practice_name;
};

/*
** NULL when the password may be used, else the reason as the patient is told it: "password too
** short", "password too long", "password not valid text", "password equal to user name", "password
** equal to name", "password equal to date of birth".  Names are compared normalised
** (normalize_name), also "first last" and "last first"; the practice's name is one of them.
*/
const char *password_problem(const char *password, const struct password_context *context);

/*
** Hashes a password after NFKC.  0, or -1 (and an empty `out`) when there is not enough memory, or
** when the password is not valid text or longer than NORMALIZE_INPUT_MAX bytes.
*/
int password_hash(const char *password, char out[PASSWORD_HASH_SIZE]);

/*
** True when the password fits the hash.  With hash NULL it does the same work against a fixed hash
** and returns false, so that an unknown user name takes as long as a wrong password.  False with
** errno ENOMEM when there was no memory to find out.
*/
bool password_verify(const char *password, const char *hash);

/* True when the hash was made with other parameters than new ones are. */
bool password_needs_rehash(const char *hash);

#endif
