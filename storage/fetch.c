/* fetch.c - bodies that have left memory, read back from their segments.
 *
 * The segment's index says where the block begins; only the DISK_BLOCKs that the fact touches are read. Whether the
 * bytes are the right ones is for the caller to see: a fact carries its own checksum, seeded by its position. */
#include "byteorder.h"
#include "log.h"
#include "mark.h"
#include "must.h"

uint32_t journal_fetch_bytes(uint32_t place, uint32_t size)
{
    return (uint32_t)round_up(place % DISK_BLOCK + (uint64_t)size, DISK_BLOCK);
}

static void fetch_finish(struct journal *j, uint8_t slot, enum leat_status status)
{
    struct reads *r = &j->reads;
    must(r->done_count < LOG_READS);
    r->status[slot] = (uint8_t)status;
    r->done[(r->done_head + r->done_count++) % LOG_READS] = slot;
}

bool journal_fetch(struct journal *j, struct lsn lsn, uint32_t place, uint32_t size, void *data, uint32_t *skip,
                   uint64_t tag)
{
    struct reads *r = &j->reads;
    if (r->unused_count == 0)
        return false;
    uint8_t slot = r->unused[r->unused_count - 1];
    uint32_t bytes = journal_fetch_bytes(place, size), order = segment_find(j, lsn_block(lsn));
    const struct segment *s = order == SEGMENT_NONE ? NULL : segment_at(j, order);
    *skip = place % DISK_BLOCK;
    r->slots[slot] = (struct read_slot){.tag = tag, .size = bytes};
    j->counters.fetches++;
    uint64_t at = s && lsn_block(lsn) - s->first < s->blocks
                      ? s->index[lsn_block(lsn) - s->first] * (uint64_t)DISK_BLOCK + place - *skip
                      : j->segments.bytes;
    if (at + bytes > j->segments.bytes) {
        mark(fetch_of_nothing);
        r->unused_count--;
        fetch_finish(j, slot, LEAT_CORRUPT);
        return true;
    }
    struct disk_op op = {.kind = DISK_READ, .file = s->file, .offset = at, .data = data, .size = bytes};
    op.tag = log_tag(LOG_READ, slot);
    if (!disk_submit(j->disk, &op))
        return false;
    r->unused_count--;
    return true;
}

void fetch_completed(struct journal *j, uint32_t slot, int32_t result)
{
    must(slot < LOG_READS);
    bool whole = result == (int32_t)j->reads.slots[slot].size;
    if (!whole)
        mark(fetch_failed);
    fetch_finish(j, (uint8_t)slot, whole ? LEAT_OK : LEAT_DISK_ERROR);
}

bool journal_fetched(struct journal *j, uint64_t *tag, enum leat_status *status)
{
    struct reads *r = &j->reads;
    if (r->done_count == 0)
        return false;
    uint8_t slot = r->done[r->done_head];
    r->done_head = (r->done_head + 1) % LOG_READS;
    r->done_count--;
    *tag = r->slots[slot].tag;
    *status = (enum leat_status)r->status[slot];
    r->unused[r->unused_count++] = slot;
    return true;
}
