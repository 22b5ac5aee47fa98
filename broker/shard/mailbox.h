/* mailbox.h - how another thread speaks with a shard: one pair of single-producer, single-consumer rings of letters.
 *
 * A letter is the sender's memory, lent to the shard from mailbox_post_xcore() until it comes back by
 * mailbox_collect_xcore(). The shard answers in place. At most MAILBOX_LETTERS are under way. A shard that sleeps is
 * woken by the bell, a function of the port that made the mailbox (an eventfd in the shard's ring, say); the
 * other side's bell says that an answer is there. A bell is rung only for an end that has armed it, once per arming:
 * letters between two busy threads cost no system call.
 *
 * Failure: post answers false when the ring is full. Thread: functions ending in _xcore are for the one thread beside
 * the shard that owns the other end; the rest are the shard's. Rings: Concurrency Kit's ck_ring, SPSC only. */
#ifndef LEAT_SHARD_MAILBOX_H
#define LEAT_SHARD_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "reply.h"
#include "status.h"

enum { MAILBOX_LETTERS = 63 };

enum letter_kind {
    LETTER_COUNTERS, /* fills counters */
    LETTER_QUEUES,   /* fills queues[0..count) with the stats of queues number `from` on; `from` becomes the next, or
                        UINT32_MAX at the end */
    LETTER_PORTS,    /* fills ports; for the program around the shard, which has a mailbox of its own */
};

enum { LETTER_QUEUES_MAX = 64 };

struct letter {
    uint8_t kind; /* enum letter_kind */
    uint32_t from, count;
    struct shard_counters *counters;
    struct reply_stat *queues;   /* room for LETTER_QUEUES_MAX */
    struct port_counters *ports; /* admin/metrics.h */
};

struct mailbox;

typedef void mailbox_bell(void *context);

/* mailbox_open: before the threads that use it start. `shard_bell` is rung on the other thread to wake the shard,
 * `other_bell` on the shard's to wake the other. Either may be NULL. */
enum leat_status mailbox_open(struct mailbox **m, mailbox_bell *shard_bell, void *shard_context,
                              mailbox_bell *other_bell, void *other_context);
void mailbox_close(struct mailbox *m);

bool mailbox_post_xcore(struct mailbox *m, struct letter *l);
struct letter *mailbox_collect_xcore(struct mailbox *m);

/* Before sleeping on one's bell; false: something is here already. disarm takes the wish back after waking. */
bool mailbox_arm_xcore(struct mailbox *m);
void mailbox_disarm_xcore(struct mailbox *m);

/* The shard's end, likewise. */
struct letter *mailbox_receive(struct mailbox *m);
void mailbox_answer(struct mailbox *m, struct letter *l);
bool mailbox_arm(struct mailbox *m);
void mailbox_disarm(struct mailbox *m);

#endif
