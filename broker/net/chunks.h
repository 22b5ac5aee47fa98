/* chunks.h - memory for bytes that wait for a socket: three sizes of chunk out of one budget, reserved at the start.
 *
 * A connection holds a chunk only while bytes of it wait (an unfinished frame, unsent replies), so thousands of idle
 * ones cost nothing. The smallest chunk that fits is given; where a size is used up, the next larger one. The last one
 * given back is given out first: it is warm. Units: bytes. Memory: one mmap of the whole budget; pages are touched as
 * used. Failure: NULL when nothing that fits is left. Thread: one. */
#ifndef LEAT_NET_CHUNKS_H
#define LEAT_NET_CHUNKS_H

#include <stdint.h>

enum { CHUNK_SMALL = 4 * 1024, CHUNK_MIDDLE = 64 * 1024, CHUNK_LARGE = 256 * 1024, CHUNK_SIZES = 3 };

struct chunks;

/* A quarter of the budget goes to small chunks, half to middle ones, a quarter to large ones. At least 1 MiB; NULL
 * without memory. */
struct chunks *chunks_open(uint64_t budget);
void chunks_close(struct chunks *c);

/* `need` is at most CHUNK_LARGE; *capacity is what came. Page-aligned. */
uint8_t *chunks_take(struct chunks *c, uint32_t need, uint32_t *capacity);
void chunks_give(struct chunks *c, uint8_t *chunk);

/* Bytes in chunks that are out. */
uint64_t chunks_used(const struct chunks *c);

#endif
