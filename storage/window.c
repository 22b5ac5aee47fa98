/* window.c - see window.h. */
#include "window.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

enum { WINDOW_GLANCE = 64 * 1024, WINDOW_PIECE = 2 * 1024 * 1024 };

bool window_open(struct window *w, uint64_t capacity)
{
    *w = (struct window){

        .capacity = capacity,
        .piece_max = WINDOW_PIECE,
        .unreadable = RECOVER_WHOLE,
        .bytes = aligned_alloc(DISK_BLOCK, capacity)};
    return w->bytes != NULL;
}

void window_close(struct window *w)
{
    free(w->bytes);
    w->bytes = NULL;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

const uint8_t *window_get(struct journal *j, struct window *w, uint32_t file, uint64_t end, uint64_t offset,
                          uint64_t need, uint64_t *available)
{
    must(offset <= end);
    need = least(least(need, end - offset), w->capacity);
    bool inside = w->file == file && offset >= w->at && offset <= w->at + w->have;
    if (!inside || offset + need > w->at + w->have) {
        uint64_t kept = inside ? w->at + w->have - offset : 0;
        if (kept > 0)
            memmove(w->bytes, w->bytes + (offset - w->at), kept);
        w->piece = inside ? least(w->piece * 4, w->piece_max) : least(WINDOW_GLANCE, w->piece_max);
        uint64_t more = need - kept > w->piece ? need - kept : w->piece;
        more = least(least(more, w->capacity - kept), end - offset - kept);
        if (!inside)
            w->unreadable = RECOVER_WHOLE;
        uint64_t unreadable = recover_read(j, file, offset + kept, w->bytes + kept, more);
        w->unreadable = unreadable < w->unreadable ? unreadable : w->unreadable;
        w->file = file;
        w->at = offset;
        w->have = kept + more;
    }
    *available = least(w->at + w->have, end) - offset;
    return w->bytes + (offset - w->at);
}
