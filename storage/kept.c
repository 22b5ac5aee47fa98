/* kept.c - keep segments in memory: little is known of them here, the rest stands in their own directories.
 *
 * For each page of a directory the position of its first fact is kept, its fence; the fences lie where a log segment
 * has the starts of its blocks, which a keep segment does not have. At start every directory is read once and checked:
 * a page that has rotted is refused with its exact range, as a block of the log would be. Bodies are checked by whoever
 * reads them, with the checksum that each fact carries, seeded by its position. */
#include <inttypes.h>
#include <string.h>

#include "log.h"
#include "mark.h"
#include "must.h"
#include "recover.h"
#include "window.h"

uint32_t kept_pages_max(const struct journal *j)
{
    return (uint32_t)(j->segments.bytes / DISK_BLOCK * sizeof(uint16_t) / sizeof(struct lsn));
}

static uint8_t *kept_fence(const struct segment *s, uint32_t page)
{
    return (uint8_t *)s->index + page * sizeof(struct lsn);
}

void kept_set_fence(struct segment *s, uint32_t page, struct lsn lsn)
{
    memcpy(kept_fence(s, page), &lsn, sizeof lsn);
}

static struct lsn kept_get_fence(const struct segment *s, uint32_t page)
{
    struct lsn lsn;
    memcpy(&lsn, kept_fence(s, page), sizeof lsn);
    return lsn;
}

uint32_t kept_page(const struct segment *s, struct lsn lsn)
{
    uint32_t low = 0, high = s->pages; /* the last with fence <= lsn, or the first of all */
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (kept_get_fence(s, middle).n <= lsn.n)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool kept_open(const struct journal *j, const struct segment *s, uint32_t page, const uint8_t *bytes, uint32_t *entries)
{
    struct keep_page p = {.cluster = j->ledger.m.cluster,
                          .first = s->first,
                          .last = s->last,
                          .incarnation = s->incarnation,
                          .number = page,
                          .pages = s->pages};
    if (!keep_open(&p, bytes))
        return false;
    *entries = p.entries;
    return true;
}

bool journal_kept(const struct journal *j, struct lsn lsn)
{
    uint32_t order = segment_find(j, lsn_block(lsn));
    return order != SEGMENT_NONE && segment_at(j, order)->keep;
}

/* -- at start -- */

static enum leat_status kept_rot(const struct segment *s, uint64_t at, char error[256])
{
    mark(kept_rot_refused);
    return recover_say(LEAT_CORRUPT, error,
                       "log-%08u, bytes %" PRIu64 "..%" PRIu64 ": the directory of kept messages from block %" PRIu64
                       " on is damaged or missing",
                       s->name, at, at + DISK_BLOCK - 1, s->first);
}

static enum leat_status kept_load_one(struct journal *j, struct segment *s, struct window *w, char error[256])
{
    uint64_t newest = 0;
    s->pages = 1; /* the first says how many */
    for (uint32_t i = 0; i < s->pages; i++) {
        uint64_t available, at = i * (uint64_t)DISK_BLOCK;
        struct keep_page p = {.cluster = j->ledger.m.cluster,
                              .first = s->first,
                              .last = s->last,
                              .incarnation = s->incarnation,
                              .number = i,
                              .pages = i == 0 ? 0 : s->pages};
        const uint8_t *page = window_get(j, w, s->file, j->segments.bytes, at, DISK_BLOCK, &available);
        if (available < DISK_BLOCK || !keep_open(&p, page) || p.pages > kept_pages_max(j))
            return kept_rot(s, at, error);
        struct lsn first = keep_get(page, 0).lsn, last = keep_get(page, p.entries - 1).lsn;
        if (first.n <= newest || last.n < first.n)
            return kept_rot(s, at, error);
        newest = last.n;
        s->last = p.last;
        s->pages = p.pages;
        kept_set_fence(s, i, first);
    }
    return LEAT_OK;
}

enum leat_status kept_load(struct journal *j, struct window *w, char error[256])
{
    const struct segments *t = &j->segments;
    uint64_t behind = 0; /* of the keep segment before */
    for (uint32_t i = 0; i < t->total; i++) {
        struct segment *s = segment_at(j, i);
        bool ordered = s->first == 0 || s->first > behind;
        if (s->keep && i + 1 < t->log_count && ordered) {
            enum leat_status status = kept_load_one(j, s, w, error);
            if (status != LEAT_OK)
                return status;
            behind = s->last;
        } else if (s->keep || !ordered) {
            return recover_say(LEAT_CORRUPT, error, "the manifest lists log-%08u where it cannot stand", s->name);
        }
    }
    return LEAT_OK;
}
