/* buffers.h - memory for what cannot be sized in advance: requests that come in fragments, answers that wait, bodies
 * read back. A budget over the allocator, so that no client can make the broker grow without bound.
 *
 * Units: bytes; addresses are multiples of DISK_BLOCK for sizes from that on, of 16 below. Failure: NULL when the
 * budget is spent (or, which counts as the same, the allocator). Thread: owned by one shard. */
#ifndef LEAT_SHARD_BUFFERS_H
#define LEAT_SHARD_BUFFERS_H

#include <stdint.h>

struct buffers {
    uint64_t max, used;
};

uint8_t *buffers_take(struct buffers *b, uint32_t size);
/* `size` as in the take; NULL is nothing. */
void buffers_give(struct buffers *b, uint8_t *bytes, uint32_t size);

#endif
