/* twin.h - an engine and its shadow: every fact goes through its bytes to a second engine, which must stay equal.
 *
 * The log is only a counter here. twin_apply() gives the fact a position, `pack` of them in a block one behind the
 * other, encodes it, applies it to the leader, decodes the bytes and applies those to the follower. Thread: one. */
#ifndef LEAT_TESTS_TWIN_H
#define LEAT_TESTS_TWIN_H

#include "apply.h"
#include "plan.h"

struct twin {
    struct engine leader, follower;
    struct plan_limits limits;
    struct instant now;
    uint64_t block;
    uint32_t pack; /* facts in a block: 1 */
    uint32_t index, place;
    struct apply_effect effect; /* of the newest fact */
};

void twin_open(struct twin *t, uint32_t queues, uint32_t slots, uint32_t chunks);
void twin_close(struct twin *t); /* checks equality and all counters first */
void twin_check(const struct twin *t);
void twin_apply(struct twin *t, struct fact *f);

/* twin_create: a queue; asserts that it could be made. */
struct queue_ref twin_create(struct twin *t, const char *name, const struct queue_attributes *a);
/* twin_put: the message's position, or LSN_NONE and *status. */
struct lsn twin_put(struct twin *t, struct queue_ref q, struct duration delay, enum leat_status *status);
/* twin_take: the receipt of the next message. */
enum leat_status twin_take(struct twin *t, struct queue_ref q, struct duration lease, uint8_t receipt[RECEIPT_BYTES]);
enum leat_status twin_finish(struct twin *t, uint8_t op, struct queue_ref q, const uint8_t receipt[RECEIPT_BYTES],
                             struct duration time);
/* twin_pass: time goes on, and everything that falls due happens. */
void twin_pass(struct twin *t, struct duration d);
struct lsn twin_lsn(const uint8_t receipt[RECEIPT_BYTES]);

#endif
