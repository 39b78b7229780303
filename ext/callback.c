#include "callback.h"

#include "channel.h"
#include "json.h"
#include "optout.h"
#include "outbox.h"

#include <string.h>
#include <strings.h>

enum { HEADERS_MOST = 100, BYTES_MOST = 65536 };

/* A request, as the channel is given it. */
struct arrival {
    portal_request api;        /* first */
    char *url;
    char *bytes;               /* the headers point into it */
    int count;
    struct json_member header[HEADERS_MOST];
};

static const char *arrival_header(const portal_request *request, const char *name)
{
    const struct arrival *arrival = (const struct arrival *)request;

    for (int i = 0; i < arrival->count; i++) {
        if (strcasecmp(arrival->header[i].name, name) == 0 && arrival->header[i].text != NULL) return arrival->header[i].text;
    }
    return "";
}

/* False for what is no object of texts. */
static bool headers_read(struct arrival *arrival)
{
    struct json_reader reader = {arrival->bytes, false};
    enum json_step step = JSON_END;

    while (*arrival->bytes != '\0' && arrival->count < HEADERS_MOST) {
        step = json_next(&reader, &arrival->header[arrival->count]);
        if (step != JSON_MEMBER) break;
        arrival->count++;
    }
    return step == JSON_END;
}

static void arrival_clear(struct arrival *arrival)
{
    sqlite3_free(arrival->url);
    sqlite3_free(arrival->bytes);
}

/* SQLITE_OK, SQLITE_AUTH for what is no request, or an error code with the fault set. */
static int arrival_read(struct portal *portal, const struct callback *callback, struct arrival *arrival)
{
    memset(arrival, 0, sizeof *arrival);
    if (strlen(callback->query) > BYTES_MOST || strlen(callback->headers) > BYTES_MOST ||
        strlen(callback->body) > BYTES_MOST) {
        return SQLITE_AUTH;
    }
    arrival->url = sqlite3_mprintf("%s/callback/%s%s%s", setting_text(portal, SETTING_portal_url), callback->channel,
                                   *callback->query == '\0' ? "" : "?", callback->query);
    arrival->bytes = sqlite3_mprintf("%s", callback->headers);
    if (arrival->url == NULL || arrival->bytes == NULL) return fault(portal, SQLITE_NOMEM);
    arrival->api = (portal_request){arrival->url, callback->query, callback->body, arrival_header};
    return headers_read(arrival) ? SQLITE_OK : SQLITE_AUTH;
}

/* What is to be done, by the word. */
struct news {
    portal_news api;
    const struct row *row;
    char contact[CONTACT_SIZE];    /* normalised */
};

static int report_write(struct portal *portal, struct news *news);
static int contact_change(struct portal *portal, struct news *news);

static const struct row {
    bool is_report;
    int (*write)(struct portal *portal, struct news *news);            /* NULL: there is nothing to do */
    const char *status;                                                /* of a report */
    int (*change)(struct portal *portal, const char *contact);         /* of a reply */
} rows[] = {
    [PORTAL_SAYS_NOTHING] = {false, NULL, NULL, NULL},
    [PORTAL_SAYS_UNDER_WAY] = {true, NULL, NULL, NULL},
    [PORTAL_SAYS_DELIVERED] = {true, report_write, "delivered", NULL},
    [PORTAL_SAYS_UNDELIVERED] = {true, report_write, "undelivered", NULL},
    [PORTAL_SAYS_BOUNCED] = {true, report_write, "bounced", NULL},
    [PORTAL_SAYS_OPTED_OUT] = {true, report_write, "opted_out", NULL},
    [PORTAL_SAYS_STOP] = {false, contact_change, NULL, optout_add},
    [PORTAL_SAYS_START] = {false, contact_change, NULL, optout_remove},
};

static int report_write(struct portal *portal, struct news *news)
{
    char detail[OUTBOX_DETAIL_SIZE];
    const char *became = NULL;
    struct outbox_report report = {news->row->status, NULL, 0};
    int code;

    outbox_detail(portal, news->api.detail, detail);
    if (detail[0] != '\0') report.detail = detail;
    code = outbox_report(portal, news->api.claim, news->api.message_id, &report, &became);
    /* What came too late is true all the same. */
    return code == REFUSED && became == NULL ? SQLITE_OK : code;
}

static int contact_change(struct portal *portal, struct news *news)
{
    return news->row->change(portal, news->contact);
}

static int news_write(struct portal *portal, void *data)
{
    struct news *news = data;

    return news->row->write(portal, news);
}

/* SQLITE_OK, REFUSED for whoever has not the claim, SQLITE_DONE when there is nothing to write, or an error code. */
static int news_check(struct portal *portal, struct news *news)
{
    int code = SQLITE_OK;

    if ((size_t)news->api.word >= sizeof rows / sizeof rows[0]) return fault(portal, SQLITE_MISUSE);
    news->row = &rows[news->api.word];
    if (news->row->is_report) code = outbox_claimed(portal, news->api.claim, news->api.message_id);
    if (code != SQLITE_OK) return code;
    if (news->row->write == NULL) return SQLITE_DONE;
    if (news->row->is_report) return SQLITE_OK;
    code = patient_contact_given(portal, medium_of_contact(news->api.contact), news->api.contact, news->contact);
    /* Somebody who writes from a short code, or from nowhere, gets no messages of ours. */
    return code == REFUSED ? SQLITE_DONE : code;
}

/* Whoever reports is the one who acts. */
static int write_as(struct portal *portal, const char *channel, struct news *news)
{
    char user[USER_SIZE];
    int code;

    (void)sqlite3_snprintf(sizeof user, user, "%s", portal->user);
    connection_act_as(portal, portal->application, channel);
    code = scope_run(portal, news_write, news);
    connection_act_as(portal, portal->application, user);
    return code;
}

static int channel_ask(struct portal *portal, const struct channel *channel, const struct callback *callback,
                       struct news *news)
{
    struct arrival arrival;
    int code = arrival_read(portal, callback, &arrival);

    if (code == SQLITE_OK) {
        code = channel->api.receive(channel->data, &arrival.api, &news->api);
        if (code != SQLITE_OK && code != SQLITE_AUTH) code = fault(portal, code);
    }
    arrival_clear(&arrival);
    return code;
}

int callback_take(struct portal *portal, const struct callback *callback, enum callback_result *result)
{
    struct channel *channel = NULL;
    struct news news;
    int code = channel_look(portal, callback->channel, &channel);

    memset(&news, 0, sizeof news);
    *result = CALLBACK_UNKNOWN;
    if (code != SQLITE_OK || channel == NULL || channel->api.receive == NULL) return code;
    *result = CALLBACK_REFUSED;
    code = channel_ask(portal, channel, callback, &news);
    if (code == SQLITE_OK) code = news_check(portal, &news);
    if (code == SQLITE_AUTH || code == REFUSED) return SQLITE_OK;
    if (code == SQLITE_OK) code = write_as(portal, channel->api.name, &news);
    else if (code == SQLITE_DONE) code = SQLITE_OK;
    *result = CALLBACK_TAKEN;
    return code;
}
