/* slab.h - an array of equal items whose address space is reserved once and whose memory is touched as it is used.
 *
 * Items are named by index, never by pointer, so that a slab can be written to a checkpoint and read back as it is.
 * Freed items form a list through their first four bytes; the last one freed is the next one taken, while it is still
 * in the cache.
 *
 * Units: items; `item_bytes` is a multiple of 8. Memory: capacity * item_bytes of address space from slab_open() to
 * slab_close(); a new item is all zero but for what its last owner left behind (the taker sets every field). Failure:
 * slab_open() gives LEAT_NO_MEMORY; slab_take() gives SLAB_NONE when every item is in use. Thread: one owner. */
#ifndef LEAT_BASE_SLAB_H
#define LEAT_BASE_SLAB_H

#include <stdint.h>

#include "status.h"

#define SLAB_NONE UINT32_MAX

struct slab {
    uint8_t *items;
    uint32_t item_bytes;
    uint32_t capacity;
    uint32_t used;  /* items below this have been touched */
    uint32_t taken; /* in use now */
    uint32_t free;  /* head of the free list */
};

enum leat_status slab_open(struct slab *s, uint32_t capacity, uint32_t item_bytes);
void slab_close(struct slab *s);

/* slab_next: the index that the next slab_take() will give, or SLAB_NONE: a plan names it before apply takes it. */
uint32_t slab_next(const struct slab *s);
uint32_t slab_take(struct slab *s);
void slab_give(struct slab *s, uint32_t index);

static inline void *slab_at(const struct slab *s, uint32_t index)
{
    return s->items + (uint64_t)index * s->item_bytes;
}

#endif
