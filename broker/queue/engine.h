/* engine.h - all queues of one shard, as data: what plan.c reads and apply.c changes.
 *
 * A message is in exactly one place at a time:
 *
 *            put                 take                 ack
 *   (new) ---------> READY ----------------> LEASED --------> (gone)
 *     | delayed      ^ ^                     | | |
 *     +---> DELAYED -+ +---- lease ran out --+ | +-- attempts spent --> DEAD, or READY in the dead-letter queue
 *              ^                               |
 *              +--------- nack, delayed -------+
 *
 * Everything is in slabs and named by index, so that two engines given the same facts are equal byte by byte. The wheel
 * and the table of names are derived from the slabs.
 *
 * Units: messages, bytes of put facts, struct instant. Memory: reserved at engine_open() for the capacities, touched as
 * used. Failure: engine_open() gives LEAT_NO_MEMORY. Thread: owned by one shard. */
#ifndef LEAT_QUEUE_ENGINE_H
#define LEAT_QUEUE_ENGINE_H

#include "message.h"
#include "name.h"
#include "names.h"
#include "ready.h"
#include "receipt.h"
#include "reply.h"
#include "slab.h"
#include "wheel.h"

struct engine_capacity {
    uint32_t queues;       /* 16384 */
    uint32_t slots;        /* leased, delayed, returned and dead messages: 1 M */
    uint32_t ready_chunks; /* of RUNS_LEAST ready messages or more */
};

/* engine_chunks: ready_chunks for `ready_max` ready messages of `queues` queues, the worst spread included: every queue
 * may have a first and a last chunk that are nearly empty. engine_ready_max: the least ready_max that gives so many. */
uint32_t engine_chunks(uint64_t ready_max, uint64_t queues);
uint64_t engine_ready_max(uint32_t chunks, uint64_t queues);

/* engine_capacity_holds: capacities may grow from start to start and never shrink, since a fact may name the last slot
 * of any; LEAT_BAD_VALUE and a sentence with the option and its least value. engine_capacity_say: that sentence. */
enum leat_status engine_capacity_holds(const struct engine_capacity *was, const struct engine_capacity *is,
                                       char error[256]);
enum leat_status engine_capacity_say(const char *option, uint64_t least, char error[256]);

enum queue_state { QUEUE_FREE = 0, QUEUE_LIVE = 1, QUEUE_DROPPED = 2 };

/* A list of slots, oldest first. */
struct queue_list {
    uint32_t head, tail;
};

struct queue_counters {
    uint64_t ready, leased, delayed, dead, bytes;
    uint64_t puts, takes, acks, nacks, expiries, dead_letters;
};

struct queue {
    uint32_t free_link; /* of the slab */
    uint32_t incarnation;
    uint32_t dead_letter; /* number, or SLAB_NONE */
    uint32_t sources;     /* queues whose dead-letter queue this is */
    uint32_t state;       /* enum queue_state */
    uint32_t zero;
    uint64_t moved_block; /* highest block whose fact moved a message in here: a take may have to wait for it */
    struct ready ready;
    struct queue_list leased;  /* by start of the lease */
    struct queue_list delayed; /* by arrival in that state */
    struct queue_list dead;
    struct queue_counters counters;
    struct queue_attributes attributes;
    struct name name;
};

/* What the clocks said when an epoch began. */
struct engine_epoch {
    uint32_t epoch;
    uint32_t zero;
    struct instant at;   /* log time */
    struct instant boot; /* CLOCK_BOOTTIME */
    uint64_t wall_ns;    /* UNIX time */
    uint8_t boot_id[16];
};

/* One of the newest epochs: log time to UNIX time. */
struct engine_wall {
    uint32_t epoch;
    uint32_t zero;
    struct instant at;
    uint64_t wall_ns;
};
enum { ENGINE_WALLS = 64 };

struct engine {
    struct engine_capacity capacity;
    struct slab queues, slots, chunks;
    struct wheel wheel;
    struct names names;
    uint32_t incarnations; /* of queues, ever */
    uint32_t walls_count;
    struct instant latest;                  /* of any fact */
    struct engine_epoch epoch;              /* the newest; all zero before the first */
    struct engine_wall walls[ENGINE_WALLS]; /* oldest first; walls_count of them */
};

enum leat_status engine_open(struct engine *e, const struct engine_capacity *capacity, struct instant start);
void engine_close(struct engine *e);

/* engine_find: the live queue of a name, or SLAB_NONE. engine_queue: the live queue that a client means, or NULL. */
uint32_t engine_find(const struct engine *e, const struct name *name);
const struct queue *engine_queue(const struct engine *e, struct queue_ref ref);

/* engine_stat: attributes, counters and ages of one queue, O(1). oldest_ready: since the put of the messages that would
 * be delivered next, the older of the first that came back and the first that did not; oldest_leased: since the oldest
 * lease began; oldest_delayed: since the longest delayed one was put or given back. `parked` is left to the caller.
 * oldest_ready is kept to the millisecond; of a message that was put more than a quarter of an hour after the one
 * before it in the queue, to 1/2^18 of that distance. */
void engine_stat(const struct engine *e, uint32_t number, struct instant now, struct reply_stat *stat);

/* engine_wall: UNIX time, in nanoseconds, of a message put at log time `sent` in an epoch. An epoch too old to be known
 * is taken for the nearest known one; 0 before the first epoch. */
uint64_t engine_wall(const struct engine *e, uint32_t epoch, struct instant sent);

/* engine_next_due: no lease or delay ends before this; INSTANT_NEVER if there is none. */
struct instant engine_next_due(const struct engine *e);

static inline const struct queue *engine_queue_at(const struct engine *e, uint32_t number)
{
    return slab_at(&e->queues, number);
}
static inline const struct message *engine_message_at(const struct engine *e, uint32_t slot)
{
    return slab_at(&e->slots, slot);
}

/* engine_walk_run: the bodies of all messages that are not gone, each once, in no particular order: `body` and count -
 * 1 more, each one index and one size further in the same block. engine_walk: one by one. `w` starts with all zero,
 * false at the end; the engine must not change on the way, and a walk uses one of the two throughout. */
struct engine_walk {
    uint32_t slot, queue;
    struct ready_walk ready;
    struct message_body body;
    uint32_t left; /* of the run that engine_walk() is in */
};
bool engine_walk_run(const struct engine *e, struct engine_walk *w, struct message_body *body, uint32_t *count);
bool engine_walk(const struct engine *e, struct engine_walk *w, struct message_body *body);

/* engine_sweep: the bodies that stand in blocks first..last, a piece at a time while the engine goes on changing: from
 * `s` with all zero but the blocks to the answer false, every message that lives all that time is met. One may be met
 * twice, and one that ends on the way may be met, too. Three passes are needed, for a message goes this way:
 *
 *   (delayed, never leased) --> (chunks of ready ones) --> (any other slot) --> gone
 *
 * and never back. A chunk that holds more of them than there is room goes on in the next piece behind the one that was
 * told last; if that one has been taken, so have all before it. Looks at `places` slots, or chunks of as many steps;
 * *n more stand in `out`, at most `places` times four. No new message may come into those blocks meanwhile. */
struct engine_sweep {
    uint64_t first, last;
    uint32_t pass, at;
    struct lsn told; /* the last one of a chunk that is not over */
};
bool engine_sweep(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                  uint32_t *n);

/* engine_recount: the counters of a queue, counted anew from the messages themselves; for checkers, O(messages). */
struct queue_counters engine_recount(const struct engine *e, uint32_t number);

#endif
