/* image.h - reading the newest checkpoint back: the caller's bytes first, then the journal's own index.
 *
 * The index says where in each segment each block begins, so that a restart need not read the segments that only hold
 * bodies, and where the log goes on behind the checkpoint's position. FORMAT.md has the bytes.
 *
 * Memory: struct image is allocated at open, its owner's. Failure: LEAT_CORRUPT and a sentence. Thread: the shard's. */
#ifndef LEAT_STORAGE_IMAGE_H
#define LEAT_STORAGE_IMAGE_H

#include "log.h"
#include "window.h"

struct image {
    uint64_t offset;        /* of the next chunk in the area */
    uint32_t number;        /* of the next chunk */
    uint64_t hash;          /* of the last one */
    const uint8_t *payload; /* what is left of it */
    uint32_t left;
    uint8_t *index; /* gathered */
    uint64_t index_bytes, index_room;
    bool done;
};

/* image_read: as journal_replay_image(); at the end the segments have their indices and j->previous, the tail and
 * j->sealed are those of the position. */
uint32_t image_read(struct journal *j, struct image *image, struct window *w, uint8_t *bytes, uint32_t max,
                    enum leat_status *status, char error[256]);

#endif
