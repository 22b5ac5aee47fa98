/* runs.h - one chunk of a queue's ready messages: the first in full, each further one as what differs from the one
 * before it.
 *
 * Messages that were put one behind the other lie one behind the other in the log: same size, same millisecond, next
 * index, next place. Up to 128 such neighbours are one byte. Every other message is a step of a few bytes (3 to 5 where
 * many queues take turns, at most RUNS_STEP_MAX), so that a kilobyte holds at least RUNS_LEAST messages and a hundred
 * thousand at best.
 *
 *        at           end
 *   head | steps ...  | free ...     head: the oldest, decoded, and `left` more of the run that it began
 *                     ^ last: the newest, decoded, to which the next one is compared
 *
 * So the first message is looked at for free, and taking it or adding one handles a single step.
 *
 *   0nnnnnnn   n + 1 messages, each one index and one size further, of the same block, size, time and durability
 *   1bbbpstt   b blocks further, or 6: a number follows
 *              always a number: how much the index differs
 *              p: a number, what the place differs from last place + (index - last index) * last size
 *              s: a number, what the size differs
 *              t milliseconds later, or 3: a number follows
 *   1111ddtt   all of it: d durability, u64 lsn:60 t:4, then 7 bytes place:19 size:18 t:19. The t are how much
 *              later: 1 bit sign and 5 bits shift (2 here, 4 behind the lsn), 19 bits to be shifted
 *
 * A number is signed (0, -1, 1, -2 ... count as 0, 1, 2, 3 ...), seven bits a byte, lowest first, at most three bytes:
 * what is further than 2^20 blocks or milliseconds away is written as a whole.
 *
 * Units: place and size in 8 bytes, time in milliseconds. Memory: the caller's; no pointers, so that a chunk is
 * checkpointed as it is. Failure: none; runs_sound() says whether a chunk from elsewhere can be believed, the others
 * believe it. Thread: any (plain values). */
#ifndef LEAT_QUEUE_RUNS_H
#define LEAT_QUEUE_RUNS_H

#include <stdbool.h>

#include "message.h"

enum {
    RUNS_BYTES = 1024,
    RUNS_STEPS = 960,
    RUNS_STEP_MAX = 16,
    RUNS_LEAST = 1 + RUNS_STEPS / RUNS_STEP_MAX, /* messages of a chunk without room for one more */
    RUNS_PLACE8_MAX = (1 << 19) - 1,
    RUNS_SIZE8_MAX = (1 << 18) - 1,
};
#define RUNS_BLOCK_MAX ((1ull << 44) - 1)

/* One message. */
struct ready_entry {
    struct lsn lsn;
    struct message_where where;
    struct instant sent; /* to the millisecond, rounded down; far from the one before it, to 1/2^18 of that distance */
    uint8_t durability;
};

/* The same, as its neighbours are compared to it. */
struct runs_point {
    struct lsn lsn;
    struct message_where where;
    uint64_t ms;
};

struct runs {
    uint32_t next; /* chunk; the slab's list of free ones uses it too */
    uint16_t at, end;
    uint8_t left;
    uint8_t open; /* the last step is a run, which may become longer */
    uint8_t head_durability, last_durability;
    uint32_t zero;
    struct runs_point head, last;
    uint8_t steps[RUNS_STEPS];
};
MUST_BE_SIZE(struct runs, RUNS_BYTES);

/* runs_begin: a chunk of one message; leaves `next` alone. runs_has_room: for whatever message comes next. runs_push:
 * adds one; false if there is no room. runs_pop: takes the oldest out; false if it was the only one: the
 * chunk is empty then, until it begins anew. */
void runs_begin(struct runs *r, const struct ready_entry *e);
bool runs_push(struct runs *r, const struct ready_entry *e);
bool runs_pop(struct runs *r);

static inline bool runs_has_room(const struct runs *r)
{
    return r->end <= RUNS_STEPS - RUNS_STEP_MAX;
}
static inline void runs_first(const struct runs *r, struct ready_entry *e)
{
    e->lsn = r->head.lsn;
    e->where = r->head.where;
    e->sent.ns = r->head.ms * 1000000;
    e->durability = r->head_durability;
}

/* A walk over one chunk, neighbour by neighbour: `e` is the oldest of `count` messages whose index and place go up by
 * one and by its size. runs_walk_begin() tells the first of them; false if the
 * chunk is empty. */
struct runs_walk {
    struct runs_point point; /* the newest that was told */
    uint16_t at;
    uint8_t durability;
};
bool runs_walk_begin(const struct runs *r, struct runs_walk *w, struct ready_entry *e, uint32_t *count);
bool runs_walk_next(const struct runs *r, struct runs_walk *w, struct ready_entry *e, uint32_t *count);

/* runs_sound: every step of it ends where the next begins, no field leaves its bounds, and the last message is the one
 * it says. Looks at nothing but the chunk. */
bool runs_sound(const struct runs *r);

#endif
