/* slab.c - reserved address space, a high-water mark and a free list. */
#include "slab.h"

#include <stddef.h>
#include <sys/mman.h>

#include "byteorder.h"
#include "must.h"

enum leat_status slab_open(struct slab *s, uint32_t capacity, uint32_t item_bytes)
{
    must(item_bytes % 8 == 0 && capacity < SLAB_NONE);
    void *p = mmap(NULL, (size_t)capacity * item_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return LEAT_NO_MEMORY;
    *s = (struct slab){.items = p, .item_bytes = item_bytes, .capacity = capacity, .free = SLAB_NONE};
    return LEAT_OK;
}

void slab_close(struct slab *s)
{
    if (s->items)
        munmap(s->items, (size_t)s->capacity * s->item_bytes);
    *s = (struct slab){.free = SLAB_NONE};
}

uint32_t slab_next(const struct slab *s)
{
    if (s->free != SLAB_NONE)
        return s->free;
    return s->used < s->capacity ? s->used : SLAB_NONE;
}

uint32_t slab_take(struct slab *s)
{
    uint32_t index = slab_next(s);
    if (index == SLAB_NONE)
        return SLAB_NONE;
    if (index == s->free)
        s->free = le32_get(slab_at(s, index));
    else
        s->used++;
    s->taken++;
    return index;
}

void slab_give(struct slab *s, uint32_t index)
{
    must(index < s->used);
    must(s->taken > 0);
    le32_put(slab_at(s, index), s->free);
    s->free = index;
    s->taken--;
}
