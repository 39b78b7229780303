/*
** The pages: what each asks of the database, and what it shows or where it leads.  They are rows of the table
** in route.c; what they have in common is here.
*/
#ifndef PAGE_PAGES_H
#define PAGE_PAGES_H

#include "exchange.h"

/* What every page shows; to be freed, by page_show() for one. */
cJSON *page_values(struct exchange *exchange, struct desk *desk);

/* Takes `item`, also when there is no memory to add it. */
void page_item_add(cJSON *values, const char *name, cJSON *item);

/* Answers with a page; `values` are freed. */
void page_show(struct exchange *exchange, const char *page, int status, cJSON *values);

/* What the database did not do: misuse is refused, the rest is not the reader's fault. */
void page_failed(struct exchange *exchange, struct desk *desk, int code);

/* Adds how a field of the practice's own is called: "marital_status" is Marital status. */
void page_label_add(cJSON *values, const char *member, const char *name);

/* A form comes back with what was entered, but for secrets, and with what is wrong. */
void page_form_again(struct exchange *exchange, struct desk *desk, const char *page, const char *reason);
void page_reason_add(const struct exchange *exchange, cJSON *values, const char *reason);

/* A member of an answer as text; "" when there is none. */
const char *page_answered(const cJSON *answer, const char *member);

/* A link leaves the address bar for a cookie, and the reader goes on to where it leads. */
void page_link_keep(struct exchange *exchange, enum cookie cookie, const char *location);

/* As a query has it (RFC 3986 section 2.1). */
void page_query_encode(const char *text, char out[KEY_SIZE]);

/* The session has ended, here or by a revoke. */
void page_signed_out(struct exchange *exchange, struct desk *desk);

/* Whom the session may act for, and why they are shown that now ("": they asked). */
void page_patients(struct exchange *exchange, struct desk *desk, const char *reason);

void page_home(struct exchange *exchange, struct desk *desk);
void page_open_link(struct exchange *exchange, struct desk *desk);
void page_landing(struct exchange *exchange, struct desk *desk);
void page_who(struct exchange *exchange, struct desk *desk);
void page_prove(struct exchange *exchange, struct desk *desk);
void page_account(struct exchange *exchange, struct desk *desk);
void page_enroll_patient(struct exchange *exchange, struct desk *desk);
void page_account_representative(struct exchange *exchange, struct desk *desk);
void page_enroll_representative(struct exchange *exchange, struct desk *desk);
void page_done(struct exchange *exchange, struct desk *desk);
void page_sign_in_form(struct exchange *exchange, struct desk *desk);
void page_sign_in(struct exchange *exchange, struct desk *desk);
void page_sign_out(struct exchange *exchange, struct desk *desk);
void page_list_patients(struct exchange *exchange, struct desk *desk);
void page_demographics(struct exchange *exchange, struct desk *desk);
void page_submit(struct exchange *exchange, struct desk *desk);
void page_forgot_form(struct exchange *exchange, struct desk *desk);
void page_forgot(struct exchange *exchange, struct desk *desk);
void page_open_reset(struct exchange *exchange, struct desk *desk);
void page_reset_form(struct exchange *exchange, struct desk *desk);
void page_reset(struct exchange *exchange, struct desk *desk);
void page_style(struct exchange *exchange, struct desk *desk);
void page_icon(struct exchange *exchange, struct desk *desk);

#endif
