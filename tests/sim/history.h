/* history.h - what clients did and saw, as tables that the checkers read.
 *
 * Every entry of a batch is one operation with an outcome of its own: ok, fail (certainly without effect) or unknown,
 * and unknown never becomes fail. The world tells what happens through history_*(); each call first brings the tables
 * up to date and then shows the event to every checker of check_table.h. The first violation is kept as one sentence;
 * later ones are consequences.
 *
 * Two kinds of time. `world` is the simulator's clock: it orders events. `log` is what log time was at least, by the
 * simulator's own arithmetic over boot and wall clocks: leases and delays are measured in it.
 *
 * What a crash may take away: facts that nobody waited for (leases, work on memory-class messages). Something seen at
 * time t is proven when a disk-class operation that was invoked after t has been answered: the log is written in order.
 *
 * Memory: tables grow and are used again by the next seed (history_reset). Thread: one. */
#ifndef LEAT_SIM_HISTORY_H
#define LEAT_SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "name.h"
#include "receipt.h"
#include "request.h"
#include "status.h"

enum { HISTORY_NONE = UINT32_MAX, HISTORY_CRASHES_MAX = 64, HISTORY_TEXT = 400 };

enum outcome { OUTCOME_PENDING, OUTCOME_OK, OUTCOME_FAIL, OUTCOME_UNKNOWN };
enum certainty { NO, MAYBE, YES };

struct stamp {
    uint64_t world, log;
};

struct seen_queue {
    struct name name;
    struct queue_ref ref;
    struct queue_attributes attributes;
    uint32_t dead_letter; /* index here, or HISTORY_NONE */
    uint8_t dropped;      /* enum certainty; YES: since drop_ended */
    struct stamp drop_ended;
};

struct seen_put {
    uint32_t queue, client, body_size;
    uint16_t attrs_size;
    uint8_t durability; /* memory or disk, the queue's filled in */
    uint8_t outcome;
    uint16_t status;
    struct duration delay; /* the queue's filled in */
    struct stamp invoked, ended;
    uint32_t message;          /* by the answer, or HISTORY_NONE */
    uint32_t shown, shown_too; /* by the first body seen of it, and another message with the same body */
};

struct seen_message {
    struct message_id id;
    uint32_t put;   /* whose it is by the answer, or HISTORY_NONE */
    uint32_t body;  /* whose it is by the first body seen */
    uint32_t lease; /* newest seen, a list through `older` */
    uint32_t acked; /* the lease whose ack was answered ok, or HISTORY_NONE */
    struct stamp ack_invoked, ack_ended;
    uint16_t acks;      /* answered ok, but for those that a crash may have taken away */
    uint16_t ack_maybe; /* acks that are under way or whose outcome is unknown */
    uint8_t found_dead; /* counted among the dead at the end */
};

struct seen_lease {
    uint32_t message, queue, client, older;
    uint32_t take; /* which take was answered with it */
    uint8_t receipt[RECEIPT_BYTES];
    uint32_t slot, generation, epoch, attempts;
    struct duration length;  /* asked for, the queue's filled in */
    struct stamp asked, got; /* the take's first sending; the first time that it was received */
    uint64_t from;           /* world: asked then, or the start of its epoch */
    uint64_t start, due;     /* log time: the lease began no earlier, ends no earlier (until given back) */
    uint64_t latest;         /* log time: it had begun by then */
    uint8_t given_back;      /* a nack was sent: its end is not known any more */
    uint8_t back; /* a nack was answered ok, at back_ended (world); the delay ends no earlier than back_until */
    uint64_t back_invoked, back_ended, back_until;
    uint8_t vague;      /* two extends met: which was last is not known */
    uint16_t extending; /* extends under way or of unknown outcome */
};

struct seen_finish { /* one entry of an ack, nack or extend */
    uint8_t op;
    uint8_t outcome;
    uint16_t status;
    uint32_t lease, client;
    struct duration time;
    struct stamp invoked, ended;
};

struct crash {
    uint64_t world;
    uint64_t proven; /* everything seen until then survives */
    uint64_t log;    /* log time had come so far; after another boot it may go on from less */
};

/* A session that a client was told of. */
struct seen_session {
    uint32_t handle;
    uint64_t secret;
};

struct restart {
    struct stamp at;
    uint32_t epoch;
};

enum event_kind {
    EVENT_PUT_DONE,    /* index: put */
    EVENT_DELIVERED,   /* index: lease; `again`: the same receipt as before */
    EVENT_SHOWN,       /* by a peek; index: message */
    EVENT_FINISH,      /* index: finish, invoked */
    EVENT_FINISH_DONE, /* index: finish */
    EVENT_RESTARTED,
    EVENT_SESSION, /* index: session */
    EVENT_END,     /* everything was drained */
};
struct event {
    uint8_t kind;
    bool again;
    uint32_t index, queue;
    uint32_t take; /* delivered: to which take */
    uint32_t put;  /* delivered and shown: what the body says now, HISTORY_NONE: no put of ours has this body */
    struct stamp now;
};

struct history {
    struct seen_queue *queues;
    struct seen_put *puts;
    struct seen_message *messages;
    struct seen_lease *leases;
    struct seen_finish *finishes;
    struct seen_session *sessions;
    uint32_t n_queues, n_puts, n_messages, n_leases, n_finishes, n_sessions;
    uint32_t room[6]; /* of each table above */
    uint32_t *by_id;  /* open addressing over messages */
    uint32_t ids_mask;
    uint64_t proven;
    struct crash crashes[HISTORY_CRASHES_MAX];
    struct restart restarts[HISTORY_CRASHES_MAX];
    uint32_t n_crashes, n_restarts;
    uint32_t unknown;   /* operations that ended so */
    bool files_refused; /* the file system may have no room for a file */
    bool failed;
    char text[HISTORY_TEXT];
};

void history_open(struct history *h);
void history_reset(struct history *h);
void history_close(struct history *h);

/* history_fail: a violation; the first counts. */
void history_fail(struct history *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Queues. history_queue: as created or found, the number here. */
uint32_t history_queue(struct history *h, const struct name *name, struct queue_ref ref,
                       const struct queue_attributes *a);
void history_drop(struct history *h, uint32_t queue); /* a drop is on its way */
void history_dropped(struct history *h, uint32_t queue, enum certainty how, struct stamp now);

/* Puts. The number is the token that body and attributes are made from (body.h). `id` counts with OUTCOME_OK. */
uint32_t history_put(struct history *h, const struct seen_put *p);
void history_put_done(struct history *h, uint32_t put, enum outcome o, enum leat_status status,
                      const struct message_id *id, struct stamp now);

/* Deliveries. The lease's number; the message is found by the receipt's id, and `put` is what the body says
 * (HISTORY_NONE: no put of ours has this body). */
struct delivery {
    uint32_t queue, client, put, attempts;
    uint32_t take; /* a number of the call that asked */
    const uint8_t *receipt;
    struct duration length;
    struct stamp asked;
    uint64_t start; /* log time at which the lease began, if the caller knows it, else 0 */
};
uint32_t history_deliver(struct history *h, const struct delivery *d, struct stamp now);
void history_show(struct history *h, uint32_t queue, const uint8_t *receipt, uint32_t put, struct stamp now);

uint32_t history_finish(struct history *h, const struct seen_finish *f);
void history_finish_done(struct history *h, uint32_t finish, enum outcome o, enum leat_status status, struct stamp now);

/* history_session: the broker says hello, in a new session or an old one. */
void history_session(struct history *h, const struct seen_session *s, struct stamp now);

/* history_crash: the broker is gone. history_restarted: log time goes on at now.log, in a new epoch. */
void history_crash(struct history *h, struct stamp now);
void history_restarted(struct history *h, uint32_t epoch, struct stamp now);
/* history_found_dead: the broker has this message among its dead ones, at the end. history_end: all else was delivered
 * and acked. */
void history_found_dead(struct history *h, struct lsn lsn);
void history_end(struct history *h, struct stamp now);

/* Questions of checkers. */
/* history_may_be_lost: a fact that came about between `from` and `to`, and for which nobody waited, may have been lost
 * in a crash. */
bool history_may_be_lost(const struct history *h, uint64_t from, uint64_t to);
/* history_is_disk: the message is known to be of class disk: what was done with it survives once it was answered. */
bool history_is_disk(const struct history *h, uint32_t message);
/* history_floor: the least log time at which something invoked at `s` can have happened, restarts considered. */
uint64_t history_floor(const struct history *h, struct stamp s);
/* history_needs: this put was acknowledged and nothing is known that may have ended it: its message must be there. */
bool history_needs(const struct history *h, uint32_t put);
/* history_leads_to: dead letters of queue `from` may be found in queue `to` (or it is the same). */
bool history_leads_to(const struct history *h, uint32_t from, uint32_t to);
/* history_later: lease a was given after lease b of the same message and queue, by their epochs and generations. */
bool history_later(const struct seen_lease *a, const struct seen_lease *b);
uint32_t history_find(const struct history *h, const struct message_id *id);

#endif
