/* image.h - all of an engine, and slabs that stand beside it, as one stream of bytes: what a checkpoint holds.
 *
 * image_begin() is the cut: it notes what the engine is at this moment and copies nothing. The stream is then read in
 * pieces of any size while facts go on being applied; it is the engine at the cut all the same (see slab.h). Loading
 * takes pieces of any size, too. Nothing in an image is an address: equal engines give equal bytes, on any machine.
 *
 *   0 "leat img"   8 u32 format   12 u32 slabs   16 u64 bytes of the whole   24 u32 queues ever made   28 u32 walls
 *   32 u64 newest instant   40 the newest epoch: u32 number, u32 0, u64 instant, u64 boot clock, u64 wall clock, 16
 * boot id   88 64 walls: u32 epoch, u32 0, u64 instant, u64 wall clock   1624 8 slabs: u32 item bytes, u32 used, u32
 * taken, u32 first free   1752 u32 CRC-32C of all before   1756 u32 0   1760 the used items of each slab; then u32
 * CRC-32C of all items, u32 0.
 *
 * Units: bytes. Memory: the caller's; an image holds the slabs only by address. Failure: loading says one sentence in
 * `error`: LEAT_CORRUPT, LEAT_TOO_NEW, or LEAT_BAD_VALUE when a capacity is smaller than what the image holds. The
 * engine is then good for engine_close() only. Thread: owned by one shard. */
#ifndef LEAT_QUEUE_IMAGE_H
#define LEAT_QUEUE_IMAGE_H

#include "engine.h"

enum {
    IMAGE_FORMAT = 2,
    IMAGE_HEADER = 1760,
    IMAGE_TRAILER = 8,
    IMAGE_MORE_MAX = 5, /* slabs beside the engine's three */
    IMAGE_SLABS_MAX = 3 + IMAGE_MORE_MAX,
    IMAGE_ERROR = 256,
};

/* A slab beside the engine's, and the option that sets its capacity. */
struct image_slab {
    struct slab *slab;
    const char *limit;
};

struct image {
    struct image_slab slabs[IMAGE_SLABS_MAX];
    uint32_t slabs_count;
    uint32_t slab; /* being read */
    uint32_t crc;  /* of items so far */
    uint64_t bytes, at;
    uint8_t header[IMAGE_HEADER];
};

/* image_begin: the cut. image_bytes: of the whole stream. image_next: the next up to `max` bytes of it; 0 at its end.
 * image_end: after the last byte, or before it: the image is given up. `more` may be NULL if there are none. */
void image_begin(struct image *i, struct engine *e, const struct image_slab *more, uint32_t more_count);
uint64_t image_bytes(const struct image *i);
uint32_t image_next(struct image *i, void *out, uint32_t max);
void image_end(struct image *i);

struct image_load {
    struct engine *engine;
    struct image i;
    uint64_t slab_at; /* bytes of the current slab that are loaded */
    uint8_t trailer[IMAGE_TRAILER];
    enum leat_status status; /* the first failure */
};

/* image_load_begin: `e` and `more` were just opened. image_load_end: the stream is over; sets wheel and names, too. */
void image_load_begin(struct image_load *l, struct engine *e, const struct image_slab *more, uint32_t more_count);
enum leat_status image_load(struct image_load *l, const void *bytes, uint32_t size, char error[IMAGE_ERROR]);
enum leat_status image_load_end(struct image_load *l, char error[IMAGE_ERROR]);

#endif
