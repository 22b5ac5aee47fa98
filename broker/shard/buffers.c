/* buffers.c - see buffers.h. */
#include "buffers.h"

#include <stdlib.h>

#include "byteorder.h"
#include "disk.h"
#include "mark.h"
#include "must.h"

uint8_t *buffers_take(struct buffers *b, uint32_t size)
{
    must(size > 0);
    if (size > b->max - b->used) {
        mark(buffers_spent);
        return NULL;
    }
    uint8_t *bytes = size < DISK_BLOCK ? malloc(size) : aligned_alloc(DISK_BLOCK, round_up(size, DISK_BLOCK));
    if (bytes)
        b->used += size;
    return bytes;
}

void buffers_give(struct buffers *b, uint8_t *bytes, uint32_t size)
{
    if (!bytes)
        return;
    must(b->used >= size);
    b->used -= size;
    free(bytes);
}
