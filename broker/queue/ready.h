/* ready.h - the ready messages of one queue: first those that came back, by age, then the rest in order of arrival.
 *
 * Messages that came back from a lease are in a pairing heap by log position, through their slots: an expired lease
 * returns to the front. The rest are runs of the log, a few bits to a few bytes each, in chunks of a kilobyte (runs.h).
 * Both live in slabs of the engine.
 *
 * Units: messages. Failure: ready_push() needs a chunk at times: ready_has_room() says so before, and nothing else
 * fails. Thread: owned by one shard. */
#ifndef LEAT_QUEUE_READY_H
#define LEAT_QUEUE_READY_H

#include <stdbool.h>

#include "message.h"
#include "runs.h"
#include "slab.h"

struct ready {
    uint32_t head, tail; /* chunks */
    uint32_t heap;       /* root slot */
    uint32_t zero;
};

void ready_init(struct ready *r);
/* ready_has_room: for one more message, whatever it is. */
bool ready_has_room(const struct ready *r, const struct slab *chunks);
void ready_push(struct ready *r, struct slab *chunks, const struct ready_entry *entry);
/* ready_first: the oldest entry of the chunks; false if there is none. ready_pop: takes it out. */
bool ready_first(const struct ready *r, const struct slab *chunks, struct ready_entry *entry);
void ready_pop(struct ready *r, struct slab *chunks);

/* A walk over the entries of the chunks, in order; starts with all zero, and nothing may change on the way.
 * ready_next_run() gives neighbours together: `entry` and count - 1 more, each one index and one size further. A walk
 * uses one of the two throughout. */
struct ready_walk {
    uint32_t chunk_plus_1;
    uint32_t left; /* of the run that ready_next() is in */
    struct runs_walk in;
    struct ready_entry entry;
};
bool ready_next(const struct ready *r, const struct slab *chunks, struct ready_walk *w, struct ready_entry *entry);
bool ready_next_run(const struct ready *r, const struct slab *chunks, struct ready_walk *w, struct ready_entry *entry,
                    uint32_t *count);

/* ready_count: adds the entries of all chunks and their bytes; for checkers. */
void ready_count(const struct ready *r, const struct slab *chunks, uint64_t *messages, uint64_t *bytes);

/* The heap of returned messages; `slots` is the slab of struct message. r->heap is the one with the lowest position, or
 * SLAB_NONE. */
void ready_heap_add(struct ready *r, struct slab *slots, uint32_t slot);
void ready_heap_remove(struct ready *r, struct slab *slots, uint32_t slot);

/* For sound.c, after loading: whether the heap holds at most `max` messages, all of that queue, in order and linked
 * both ways; whether the chain of chunks ends, holds at most `max` entries and each chunk is what runs_push() could
 * have made. Counts what they hold. */
bool ready_heap_sound(const struct ready *r, const struct slab *slots, uint32_t queue, uint64_t max, uint64_t *count,
                      uint64_t *bytes);
/* `seen` has a byte a chunk, 1 for those that something else holds already; adds the bytes of all entries. */
bool ready_sound(const struct ready *r, const struct slab *chunks, uint64_t max, uint64_t *entries, uint64_t *bytes,
                 uint8_t *seen);

#endif
