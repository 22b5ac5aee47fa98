/* names.h - queue names to queue numbers: open addressing over the engine's queues; derived, rebuilt after loading.
 * Units: numbers of queues. Memory: 8 bytes a queue of the capacity. Failure: names_open() gives LEAT_NO_MEMORY.
 * Thread: owned by one shard. */
#ifndef LEAT_QUEUE_NAMES_H
#define LEAT_QUEUE_NAMES_H

#include "name.h"
#include "slab.h"

struct names {
    struct slab cells; /* struct cell of names.c */
    uint32_t mask;
};

enum leat_status names_open(struct names *n, uint32_t queues);
void names_close(struct names *n);
void names_clear(struct names *n);

/* names_find: the number, or SLAB_NONE. `name_of` tells the name of a number, as the engine does. */
typedef const struct name *names_lookup(const void *owner, uint32_t number);
uint32_t names_find(const struct names *n, const struct name *name, names_lookup *name_of, const void *owner);
void names_add(struct names *n, const struct name *name, uint32_t number);
void names_remove(struct names *n, const struct name *name, uint32_t number);

#endif
