/* names.c - linear probing with twice as many cells as queues; removal shifts back what followed. */
#include "names.h"

#include "hash.h"
#include "must.h"

struct cell {
    uint32_t number_plus_1; /* 0: free */
    uint32_t hash;
};

static const struct cell *cell_at(const struct names *n, uint32_t i)
{
    return slab_at(&n->cells, i & n->mask);
}

static struct cell *cell_write(struct names *n, uint32_t i)
{
    return slab_write(&n->cells, i & n->mask);
}

static uint32_t hash_of(const struct name *name)
{
    return (uint32_t)hash_bytes(name->text, name->size);
}

enum leat_status names_open(struct names *n, uint32_t queues)
{
    uint32_t cells = 16;
    while (cells < queues * 2)
        cells *= 2;
    n->mask = cells - 1;
    return slab_open(&n->cells, cells, sizeof(struct cell));
}

void names_clear(struct names *n)
{
    slab_clear(&n->cells);
}

void names_close(struct names *n)
{
    slab_close(&n->cells);
}

uint32_t names_find(const struct names *n, const struct name *name, names_lookup *name_of, const void *owner)
{
    uint32_t hash = hash_of(name);
    for (uint32_t i = hash;; i++) {
        const struct cell *c = cell_at(n, i);
        if (c->number_plus_1 == 0)
            return SLAB_NONE;
        if (c->hash == hash && name_equal(name_of(owner, c->number_plus_1 - 1), name))
            return c->number_plus_1 - 1;
    }
}

void names_add(struct names *n, const struct name *name, uint32_t number)
{
    uint32_t i = hash_of(name);
    while (cell_at(n, i)->number_plus_1 != 0)
        i++;
    *cell_write(n, i) = (struct cell){number + 1, hash_of(name)};
}

void names_remove(struct names *n, const struct name *name, uint32_t number)
{
    uint32_t hole = hash_of(name);
    while (cell_at(n, hole)->number_plus_1 != number + 1) {
        must(cell_at(n, hole)->number_plus_1 != 0);
        hole++;
    }
    for (uint32_t i = hole + 1; cell_at(n, i)->number_plus_1 != 0; i++) {
        uint32_t wanted = cell_at(n, i)->hash;
        if (((i - wanted) & n->mask) >= ((i - hole) & n->mask)) {
            *cell_write(n, hole) = *cell_at(n, i);
            hole = i;
        }
    }
    cell_write(n, hole)->number_plus_1 = 0;
}
