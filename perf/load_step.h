/* load_step.h - the steps of a cycle, and the state that they share with the loop (load.c).
 *
 * Units: nanoseconds of lane_now(). Memory: load_step_open() reserves all. Thread: one. */
#ifndef LEAT_PERF_LOAD_STEP_H
#define LEAT_PERF_LOAD_STEP_H

#include "lane.h"
#include "load.h"
#include "must.h"
#include "pace.h"

enum { LOAD_SLOTS = WINDOW_MAX, LOAD_BORN = 1 << 20 };

enum load_step { STEP_FREE, STEP_PUT, STEP_TAKE, STEP_ACK };

struct load_slot {
    uint8_t step;
    uint16_t count;                     /* messages of the cycle */
    uint64_t start;                     /* when it should have started */
    uint8_t (*receipts)[RECEIPT_BYTES]; /* of what was taken; room for a batch */
};

struct load {
    const struct options *o;
    struct load_result *result;
    struct name queue;
    struct queue_ref ref;
    struct queue_ref *refs;  /* with more queues than one: all of them ... */
    uint32_t turn;           /* ... and whose it is */
    unsigned lanes, sources; /* sources: the first lanes, on which cycles start */
    struct lane lane[OPTIONS_LANES_MAX];
    struct load_slot slot[OPTIONS_LANES_MAX][LOAD_SLOTS];
    uint8_t free_slot[OPTIONS_LANES_MAX][LOAD_SLOTS];
    unsigned free_count[OPTIONS_LANES_MAX];
    struct pace pace;
    bool counting, stopping;
    uint64_t number;    /* of the next message */
    uint64_t delivered; /* messages that have arrived at the consumer */
    uint64_t last_ns;   /* when the last cycle ended */
    uint64_t end_ns;    /* of the measurement; nothing is due after it */
    uint64_t *born;     /* delivery: when message n should have been put, at n % LOAD_BORN */
    struct request_put_entry *entry;
    uint8_t *bodies;
    uint8_t (*receipts)[RECEIPT_BYTES]; /* all slots' */
    bool tallying;
};

bool load_step_open(struct load *l, const struct options *o, struct load_result *result);
void load_step_close(struct load *l);

/* After a change of l->o: how many slots there are, what bodies look like. Nothing may be under way. */
void load_step_shape(struct load *l);

/* Whether another cycle may start: numbers left, and (delivery, closed loop) not too many undelivered. */
bool load_step_wanted(const struct load *l);
void load_step_start(struct load *l, unsigned lane, uint64_t due);
void load_step_result(struct load *l, unsigned lane, const struct client_result *r, struct instant now);

/* delivery: parks the consumer's takes. */
void load_step_park(struct load *l);
/* Whether a lane has takes that nobody will fill. */
bool load_step_parked(const struct load *l, unsigned lane);
/* Whether a cycle is under way, or a message on its way to the consumer. */
bool load_step_busy(const struct load *l);

#endif
