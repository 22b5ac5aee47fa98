/* ahead.h - stretches of segments, read before anybody asks: a backlog that is taken from front to back costs a large
 * read now and then, and nobody waits for it.
 *
 * Segments are cut into stretches of one size. Whoever needs bytes asks here first: they are here, or on their way, or
 * must be read by the asker. A second miss near the last one shows somebody who reads on; from then on the stretches
 * before him are read, AHEAD_BYTES far, while he works on those that he has. Bytes are believed by nobody: a fact has
 * its checksum, and a stretch that held a wrong one is forgotten. A stretch is named by the life of its segment
 * (journal_spot()), so nothing that was read before a segment was written anew is ever found.
 *
 * Never in anybody's way: at most AHEAD_FLYING reads are under way, they are started after all that somebody waits for,
 * and the memory goes back when a drawing finds none.
 *
 * Units: bytes. Memory: of `buffers`, at most an eighth of it. Failure: what cannot be read or has no memory is a miss.
 * Thread: owned by one shard. */
#ifndef LEAT_SHARD_AHEAD_H
#define LEAT_SHARD_AHEAD_H

#include "buffers.h"
#include "journal.h"
#include "units.h"

enum {
    AHEAD_STRETCH = 256 * 1024, /* or an eighth of a segment */
    AHEAD_BYTES = 1024 * 1024,
    AHEAD_STRETCHES = 32,
    AHEAD_FLYING = 4,
    AHEAD_MISSES = 16,
    AHEAD_HINTS = 4,
};
#define AHEAD_TAG (1ull << 63) /* of its reads */

struct ahead_name {
    uint64_t life;
    uint64_t index; /* of the stretch in its segment */
};

enum ahead_state { AHEAD_EMPTY, AHEAD_COMES, AHEAD_HERE };

struct ahead_stretch {
    struct ahead_name name;
    uint8_t *data;
    uint32_t size;
    uint8_t state;
    uint64_t used; /* tick of the last use; 0: whoever read it has passed */
};

/* Somebody reads on: block is one of the segment, index the stretch that he will need next. */
struct ahead_hint {
    uint64_t block, index;
};

struct ahead {
    struct ahead_stretch stretches[AHEAD_STRETCHES];
    struct ahead_name misses[AHEAD_MISSES]; /* the last ones, in a ring */
    struct ahead_hint hints[AHEAD_HINTS];
    uint32_t size, count; /* of a stretch; how many there may be */
    uint32_t missed, hinted, flying;
    uint64_t tick;
    struct instant last; /* use */
    uint64_t reads, hits;
};

/* ahead_open: `a` is all zero. ahead_close: with reads under way only if the disk is never used again. */
void ahead_open(struct ahead *a, uint64_t buffer_max, uint64_t segment_bytes);
void ahead_close(struct ahead *a, struct buffers *b);

/* ahead_get: `size` bytes at `offset` of the segment of `spot`, where `block` stands. AHEAD_HERE: they are in `out`;
 * AHEAD_COMES: ask again after the next ahead_arrived(); AHEAD_EMPTY: read them yourself. */
enum ahead_state ahead_get(struct ahead *a, const struct journal_spot *spot, uint64_t block, uint64_t offset,
                           uint32_t size, uint8_t *out, struct instant now);

/* ahead_step: starts reads for those who read on. ahead_arrived: the end of one, by its tag. */
unsigned ahead_step(struct ahead *a, struct journal *j, struct buffers *b);
void ahead_arrived(struct ahead *a, uint64_t tag, enum leat_status status);

/* ahead_forget: bytes at this place were wrong: whoever asks again shall read them again. ahead_release: gives all
 * memory back that no read is filling; false if there was none. ahead_idle: the same, when nobody has read for long. */
void ahead_forget(struct ahead *a, uint64_t life, uint64_t offset);
bool ahead_release(struct ahead *a, struct buffers *b);
void ahead_idle(struct ahead *a, struct buffers *b, struct instant now);

#endif
