/* slab.h - an array of equal items whose address space is reserved once and whose memory is touched as it is used.
 *
 * Items are named by index, never by pointer, so that a slab can be written to a checkpoint and read back as it is.
 * Freed items form a list through their first four bytes; the last one freed is the next one taken, while it is still
 * in the cache.
 *
 * An image is the slab as it was at one moment, read in pieces while the owner goes on. slab_at() only reads; whoever
 * changes an item asks slab_write() for it, which first puts aside the old bytes of the pages that the image has not
 * read yet. Without an image that is one branch. Nothing is copied at the cut, and nobody forks.
 *
 *   slab_image_open --> (slab_image_begin --> slab_image_read ... --> slab_image_end)*
 *
 * Units: items; `item_bytes` is a multiple of 8. Memory: capacity * item_bytes of address space from slab_open() to
 * slab_close(), as much again with images; while one is read, at most what was in use at its cut is touched there. A
 * new item is all zero but for what its last owner left behind (the taker sets every field). Failure: slab_open() and
 * slab_image_open() give LEAT_NO_MEMORY; slab_take() gives SLAB_NONE when every item is in use. Thread: one owner. */
#ifndef LEAT_BASE_SLAB_H
#define LEAT_BASE_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#define SLAB_NONE UINT32_MAX

enum { SLAB_PAGE = 4096 }; /* what is put aside in one piece */

/* All of a slab but its items. */
struct slab_head {
    uint32_t used;  /* items below this have been touched */
    uint32_t taken; /* in use now */
    uint32_t free;  /* head of the free list */
};

struct slab_image {
    uint8_t *aside; /* pages put aside, at the same offsets; NULL: no images of this slab */
    uint64_t *kept; /* a bit a page: it is there */
    uint64_t bytes; /* of the image */
    uint64_t read;  /* so far */
    uint64_t given_back;
    struct slab_head head; /* at the cut */
};

struct slab {
    uint8_t *items;
    uint32_t item_bytes;
    uint32_t capacity;
    uint32_t used, taken, free; /* see struct slab_head */
    bool imaging;               /* an image is being read */
    struct slab_image image;
};

enum leat_status slab_open(struct slab *s, uint32_t capacity, uint32_t item_bytes);
void slab_close(struct slab *s);

/* slab_next: the index that the next slab_take() will give, or SLAB_NONE: a plan names it before apply takes it. */
uint32_t slab_next(const struct slab *s);
uint32_t slab_take(struct slab *s);
void slab_give(struct slab *s, uint32_t index);

/* slab_clear: as slab_open() left it. */
void slab_clear(struct slab *s);

/* slab_at: an item to read. slab_write: to change; the pointer is good until the next slab_image_begin(). */
static inline const void *slab_at(const struct slab *s, uint32_t index)
{
    return s->items + (uint64_t)index * s->item_bytes;
}
void slab_keep(struct slab *s, uint32_t index);
static inline void *slab_write(struct slab *s, uint32_t index)
{
    if (__builtin_expect(s->imaging, 0))
        slab_keep(s, index);
    return s->items + (uint64_t)index * s->item_bytes;
}

/* slab_image_open: from now on this slab can be imaged. */
enum leat_status slab_image_open(struct slab *s);
/* slab_image_begin: the cut; s->image.head and s->image.bytes say what it holds. One image at a time. */
void slab_image_begin(struct slab *s);
/* slab_image_read: the next up to `max` bytes of the items as they were at the cut; 0 at the end. */
uint32_t slab_image_read(struct slab *s, void *out, uint32_t max);
/* slab_image_end: after the last byte, or before it: the image is given up. */
void slab_image_end(struct slab *s);

/* Loading into a slab that was just opened or cleared. slab_load_head: false for a head that this slab cannot have.
 * slab_load_items: bytes of the items at an offset below used * item_bytes. */
bool slab_load_head(struct slab *s, const struct slab_head *head);
void slab_load_items(struct slab *s, uint64_t offset, const void *bytes, uint32_t size);

#endif
