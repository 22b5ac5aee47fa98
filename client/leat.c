/* leat.c - a handle's beginning and end, and what needs no broker. */
#include "loop.h"
#include "pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "leat.h"

static const uint64_t OPEN_TIMEOUT = 5 * LEAT_SECOND, CALL_TIMEOUT = 30 * LEAT_SECOND, BYE_TIMEOUT = LEAT_SECOND / 5;
#define DEFAULT_ADDRESS "tcp://127.0.0.1:7400"

static _Thread_local enum leat_status open_status;

const char *leat_status_name(unsigned status)
{
    return status_name(status);
}

const char *leat_status_text(unsigned status)
{
    return status_text(status);
}

bool leat_status_retry(unsigned status)
{
    return status_retry(status);
}

enum leat_status leat_open_status(void)
{
    return open_status;
}

void leat_receipt_text(const struct leat_receipt *receipt, char text[LEAT_RECEIPT_TEXT])
{
    _Static_assert((int)LEAT_RECEIPT_TEXT == (int)RECEIPT_TEXT && (int)LEAT_ID_TEXT == (int)MESSAGE_ID_TEXT,
                   "leat.h and wire agree");
    receipt_text(text, receipt->bytes);
}

bool leat_receipt_parse(struct leat_receipt *receipt, const char *text)
{
    return receipt_parse(receipt->bytes, text, strlen(text));
}

static void give_back(struct leat *l)
{
    for (unsigned i = 0; i < l->addresses_count; i++)
        l->addresses[i].ops->close(l->addresses[i].io);
    client_close(l->core);
    free(l->out);
    free(l->bodies);
    free(l);
}

/* One address of the list. */
static enum leat_status add_address(struct leat *l, const char *address, char *why)
{
    const char *rest;
    const struct io_ops *ops = leat_io_find(address, &rest);
    if (!ops) {
        snprintf(why, LEAT_ERROR_MAX, "%.150s: no such kind of address here: tcp://HOST:PORT%s", address,
                 strncmp(address, "vhost:", 6) ? "" : " (vhost:// needs libleat-dpdk)");
        return LEAT_BAD_VALUE;
    }
    if (l->addresses_count == ADDRESSES_MAX || (l->addresses_count && ops != l->addresses[0].ops)) {
        snprintf(why, LEAT_ERROR_MAX, "at most %d addresses, of one kind", ADDRESSES_MAX);
        return LEAT_BAD_VALUE;
    }
    struct io *io = ops->open(rest, l->options.eal, why);
    if (!io)
        return LEAT_BAD_VALUE;
    l->addresses[l->addresses_count].ops = ops;
    l->addresses[l->addresses_count++].io = io;
    return LEAT_OK;
}

static enum leat_status add_addresses(struct leat *l, const char *list, char *why)
{
    char one[512];
    for (const char *at = list;; at++) {
        const char *comma = strchr(at, ',');
        size_t size = comma ? (size_t)(comma - at) : strlen(at);
        if (size == 0 || size >= sizeof one) {
            snprintf(why, LEAT_ERROR_MAX, "an address is empty or too long");
            return LEAT_BAD_VALUE;
        }
        memcpy(one, at, size);
        one[size] = 0;
        enum leat_status status = add_address(l, one, why);
        if (status != LEAT_OK || !comma)
            return status;
        at = comma;
    }
}

static enum leat_status open_core(struct leat *l, char *why)
{
    const struct leat_options *o = &l->options;
    if (o->window && (o->window < WINDOW_MIN || o->window > WINDOW_MAX)) {
        snprintf(why, LEAT_ERROR_MAX, "the window is %u: 8 to 64 is possible", o->window);
        return LEAT_BAD_VALUE;
    }
    struct client_config config = {.window = o->window ? o->window : WINDOW_MAX,
                                   .datagrams = l->addresses[0].ops->datagrams,
                                   .datagram_max = l->addresses[0].ops->datagram_max,
                                   .budget = o->memory_max};
    if (getrandom(&config.seed, sizeof config.seed, 0) != (ssize_t)sizeof config.seed) {
        snprintf(why, LEAT_ERROR_MAX, "no random numbers: %s", strerror(errno));
        return LEAT_BAD_VALUE;
    }
    l->core = client_open(&config);
    l->out = aligned_alloc(64, OUT_ROOM);
    if (l->core && l->out)
        return LEAT_OK;
    snprintf(why, LEAT_ERROR_MAX, "no memory for a client");
    return LEAT_NO_MEMORY;
}

/* Turns the loop until there is a session. */
static enum leat_status wait_for_session(struct leat *l, char *why)
{
    uint64_t timeout = l->options.open_timeout_ns ? l->options.open_timeout_ns : OPEN_TIMEOUT;
    if (timeout == LEAT_DEFAULT)
        return LEAT_OK;
    struct instant deadline = instant_add(loop_now(), (struct duration){timeout});
    while (!client_ready(l->core)) {
        enum leat_status refusal = client_refusal(l->core);
        bool over = !instant_before(loop_now(), deadline) || (refusal != LEAT_OK && !status_retry(refusal));
        if (over && refusal != LEAT_OK) {
            snprintf(why, LEAT_ERROR_MAX, "%s", status_text(refusal));
            return refusal;
        }
        if (over) {
            snprintf(why, LEAT_ERROR_MAX, "%s", l->trouble[0] ? l->trouble : "no answer in time");
            return l->starved ? LEAT_NO_MEMORY : LEAT_UNREACHABLE;
        }
        loop_turn(l, deadline);
    }
    return LEAT_OK;
}

struct leat *leat_open(const char *address, const struct leat_options *options, char *error)
{
    char why[LEAT_ERROR_MAX] = "";
    if (!address)
        address = getenv("LEAT_ADDRESS");
    if (!address || !*address)
        address = DEFAULT_ADDRESS;
    struct leat *l = calloc(1, sizeof *l);
    open_status = l ? LEAT_OK : LEAT_NO_MEMORY;
    if (l) {
        if (options)
            l->options = *options;
        if (l->options.timeout_ns == 0)
            l->options.timeout_ns = CALL_TIMEOUT;
        open_status = add_addresses(l, address, why);
        if (open_status == LEAT_OK)
            open_status = open_core(l, why);
        if (open_status == LEAT_OK)
            open_status = wait_for_session(l, why);
        if (open_status == LEAT_OK)
            return l;
        give_back(l);
    }
    if (error)
        snprintf(error, LEAT_ERROR_MAX, "%s", why[0] ? why : status_text(open_status));
    return NULL;
}

void leat_close(struct leat *l)
{
    if (!l)
        return;
    if (l->linked && client_pending(l->core) == 0) {
        client_bye(l->core);
        struct instant deadline = instant_add(loop_now(), (struct duration){BYE_TIMEOUT});
        while (!client_finished(l->core) && instant_before(loop_now(), deadline))
            loop_turn(l, deadline);
    }
    give_back(l);
}

const char *leat_error(const struct leat *l)
{
    if (!client_ready(l->core) && l->trouble[0] && !l->error[0])
        return l->trouble;
    return l->error;
}

void leat_set_timeout(struct leat *l, uint64_t timeout_ns)
{
    l->options.timeout_ns = timeout_ns ? timeout_ns : CALL_TIMEOUT;
}

void leat_limits(const struct leat *l, struct leat_limits *limits)
{
    const struct reply_hello *h = client_hello(l->core);
    *limits = (struct leat_limits){0};
    if (!h)
        return;
    *limits = (struct leat_limits){.body_max = h->body_max,
                                   .batch_max = h->batch_max,
                                   .lease_max_ns = h->lease_max.ns,
                                   .delay_max_ns = h->delay_max.ns,
                                   .wait_max_ns = h->wait_max.ns,
                                   .session_timeout_ns = h->session_timeout.ns};
}

bool leat_connected(const struct leat *l)
{
    return client_ready(l->core);
}

int leat_fd(const struct leat *l)
{
    const struct io_ops *ops = l->addresses[l->current].ops;
    return l->linked ? ops->fd(l->addresses[l->current].io) : -1;
}

uint64_t leat_next_due_ns(const struct leat *l)
{
    if (client_has_result(l->core) || l->connecting)
        return 0;
    struct instant due = client_next_due(l->core);
    return due.ns == UINT64_MAX ? UINT64_MAX : instant_since(due, loop_now()).ns;
}
