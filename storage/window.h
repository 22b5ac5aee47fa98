/* window.h - reads a file from front to back, and shows any stretch in one piece. A look at another place reads 64 KiB;
 * who reads on gets four times as much each time, up to piece_max (2 MiB, until the owner says less).
 *
 * Memory: one buffer, allocated at open. What cannot be read shows as bytes that match no checksum (recover_read()).
 * Thread: the shard's; blocks. */
#ifndef LEAT_STORAGE_WINDOW_H
#define LEAT_STORAGE_WINDOW_H

#include "log.h"
#include "recover.h"

struct window {
    uint8_t *bytes;
    uint64_t capacity;
    uint32_t file;
    uint64_t at, have; /* what it shows now */
    uint64_t piece;    /* of the last read */
    uint64_t piece_max;
    uint64_t unreadable; /* offset in `file` of the first page that could not be read, or RECOVER_WHOLE */
};

bool window_open(struct window *w, uint64_t capacity);
void window_close(struct window *w);

/* window_get: the bytes of `file` at `offset`, at least `need` (at most the capacity) or up to `end`; *available says
 * how many. Good until the next call. */
const uint8_t *window_get(struct journal *j, struct window *w, uint32_t file, uint64_t end, uint64_t offset,
                          uint64_t need, uint64_t *available);

#endif
