/* leases.h - which leases a take was answered with, so that the answer can be drawn again.
 *
 * One ring for the whole shard: each lease adds its slot and generation; a place of the desk remembers where its take
 * began. What the ring has overwritten is lost, and the repeated take is answered `lease_lost`. Replay fills the ring
 * in the same way, so that answers survive a restart as far as the log behind the checkpoint reaches.
 *
 * Units: leases. Memory: 8 bytes a lease, allocated at open. Thread: owned by one shard. */
#ifndef LEAT_SHARD_LEASES_H
#define LEAT_SHARD_LEASES_H

#include <stdbool.h>
#include <stdint.h>

#include "slab.h"

struct lease_name {
    uint32_t slot, generation;
};

struct leases {
    struct slab ring;
    uint64_t head; /* leases ever added */
};

enum leat_status leases_open(struct leases *l, uint32_t capacity); /* a power of 2 */
void leases_close(struct leases *l);

/* leases_add: gives the position of the new one. */
uint64_t leases_add(struct leases *l, uint32_t slot, uint32_t generation);
/* leases_get: false if it has been overwritten or never was. */
bool leases_get(const struct leases *l, uint64_t position, struct lease_name *name);

#endif
