/* plan.h - decisions: a request or a passed deadline, and the state as it is, give one fact or a refusal.
 *
 * Nothing here changes the engine. The caller reserves room in the log for the fact, applies it, and only then plans
 * the next entry of a batch, so that entries see each other.
 *
 * Units: struct instant (log time). Memory: facts point into the request's bytes. Failure: an enum leat_status; the
 * fact is set only with LEAT_OK. Thread: owned by one shard. */
#ifndef LEAT_QUEUE_PLAN_H
#define LEAT_QUEUE_PLAN_H

#include "engine.h"
#include "fact.h"
#include "request.h"

struct plan_limits {
    uint32_t body_max;
    struct duration lease_min, lease_max, delay_max;
    uint8_t durability; /* of queues that name none; 0: disk */
    uint32_t epoch;     /* of this start; goes into puts and leases */
    uint8_t key[16];    /* of receipts */
};

/* plan_queue_create: with a queue of the same name and attributes already there, LEAT_OK and f->kind 0: nothing to do.
 * A lease of 0 means 30 s, class default means the broker's. */
enum leat_status plan_queue_create(const struct engine *e, const struct plan_limits *l, const struct request *r,
                                   struct fact *f);
enum leat_status plan_queue_drop(const struct engine *e, const struct request *r, struct fact *f);
enum leat_status plan_put(const struct engine *e, const struct plan_limits *l, struct queue_ref ref,
                          const struct request_put_entry *entry, struct instant now, struct fact *f);

/* plan_take: leases the next message; LEAT_EMPTY if none is ready. */
enum leat_status plan_take(const struct engine *e, const struct plan_limits *l, struct queue_ref ref,
                           struct duration lease, struct instant now, struct fact *f);

/* plan_finish: ack, nack (time: delay) or extend (time: new lease from now), as `op` says, of one receipt's bytes. A
 * receipt of a lease that ran out may still ack while nobody else has leased the message. */
enum leat_status plan_finish(const struct engine *e, const struct plan_limits *l, uint8_t op, struct queue_ref ref,
                             const uint8_t receipt[RECEIPT_BYTES], struct duration time, struct instant now,
                             struct fact *f);

/* plan_lost: whether a receipt that plan_finish() called stale is of a lease that a crash took: of an earlier start,
 * and later than any lease that the log knows of its slot. */
bool plan_lost(const struct engine *e, const struct plan_limits *l, const uint8_t receipt[RECEIPT_BYTES]);

/* plan_ahead: the caller is about to plan and apply ack, nack or extend of these receipts, of 32 or so at once, none of
 * which was looked at: their slots, neighbours and timers come to the cache side by side instead of one after the
 * other. Changes nothing, refuses nothing. */
void plan_ahead(const struct engine *e, const uint8_t *const receipts[], uint32_t count);

/* plan_due: what became of the slot that the wheel fired. False: nothing is due there (any more); a slot that is due
 * later must be armed again by the caller: *again is then its instant, else INSTANT_NEVER. */
bool plan_due(const struct engine *e, uint32_t slot, struct instant now, struct fact *f, struct instant *again);

/* plan_reap: the next piece of a dropped queue; false if `number` is none. */
bool plan_reap(const struct engine *e, uint32_t number, struct fact *f);

#endif
