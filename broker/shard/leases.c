/* leases.c - see leases.h. */
#include "leases.h"

#include <stddef.h>

#include "must.h"

enum leat_status leases_open(struct leases *l, uint32_t capacity)
{
    must(capacity > 0 && (capacity & (capacity - 1)) == 0);
    l->head = 0;
    return slab_open(&l->ring, capacity, sizeof(struct lease_name));
}

void leases_close(struct leases *l)
{
    slab_close(&l->ring);
}

static struct lease_name *leases_cell(const struct leases *l, uint64_t position)
{
    return (struct lease_name *)(uintptr_t)l->ring.items + (position & (l->ring.capacity - 1));
}

uint64_t leases_add(struct leases *l, uint32_t slot, uint32_t generation)
{
    *leases_cell(l, l->head) = (struct lease_name){slot, generation};
    return l->head++;
}

bool leases_get(const struct leases *l, uint64_t position, struct lease_name *name)
{
    if (position >= l->head || l->head - position > l->ring.capacity)
        return false;
    *name = *leases_cell(l, position);
    return true;
}
