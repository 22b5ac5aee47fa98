/* chunks.c - three free lists over one reserved region; a chunk's address says its size. */
#include "chunks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "must.h"

struct shelf {
    uint8_t *base;
    uint32_t size; /* of a chunk */
    uint32_t count;
    uint32_t fresh; /* chunks from here on were never out: their pages are untouched */
    uint32_t free_count;
    uint32_t *free; /* stack of indices */
};

struct chunks {
    uint8_t *base;
    uint64_t budget;
    uint64_t used;
    struct shelf shelves[CHUNK_SIZES];
};

static bool chunks_build(struct chunks *c)
{
    static const uint32_t sizes[CHUNK_SIZES] = {CHUNK_SMALL, CHUNK_MIDDLE, CHUNK_LARGE};
    static const uint32_t quarters[CHUNK_SIZES] = {1, 2, 1};
    uint64_t quarter = c->budget / 4;
    uint8_t *base = c->base;
    for (unsigned i = 0; i < CHUNK_SIZES; i++) {
        struct shelf *s = &c->shelves[i];
        s->base = base;
        s->size = sizes[i];
        s->count = (uint32_t)(quarter * quarters[i] / sizes[i]);
        s->free = calloc(s->count, sizeof *s->free);
        if (!s->free)
            return false;
        base += quarter * quarters[i];
    }
    return true;
}

struct chunks *chunks_open(uint64_t budget)
{
    struct chunks *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    budget -= budget % (4 * CHUNK_LARGE);
    must(budget > 0);
    c->budget = budget;
    c->base = mmap(NULL, budget, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c->base == MAP_FAILED) {
        free(c);
        return NULL;
    }
    if (!chunks_build(c)) {
        chunks_close(c);
        return NULL;
    }
    return c;
}

void chunks_close(struct chunks *c)
{
    for (unsigned i = 0; i < CHUNK_SIZES; i++)
        free(c->shelves[i].free);
    munmap(c->base, c->budget);
    free(c);
}

uint8_t *chunks_take(struct chunks *c, uint32_t need, uint32_t *capacity)
{
    must(need <= CHUNK_LARGE);
    for (unsigned i = 0; i < CHUNK_SIZES; i++) {
        struct shelf *s = &c->shelves[i];
        if (need > s->size || (s->free_count == 0 && s->fresh == s->count))
            continue;
        uint32_t index = s->free_count > 0 ? s->free[--s->free_count] : s->fresh++;
        c->used += s->size;
        *capacity = s->size;
        return s->base + (uint64_t)index * s->size;
    }
    return NULL;
}

void chunks_give(struct chunks *c, uint8_t *chunk)
{
    unsigned i = CHUNK_SIZES - 1;
    while (i > 0 && chunk < c->shelves[i].base)
        i--;
    struct shelf *s = &c->shelves[i];
    uint64_t offset = (uint64_t)(chunk - s->base);
    must(offset % s->size == 0);
    must(offset / s->size < s->fresh);
    must(s->free_count < s->fresh);
    s->free[s->free_count++] = (uint32_t)(offset / s->size);
    c->used -= s->size;
}

uint64_t chunks_used(const struct chunks *c)
{
    return c->used;
}
