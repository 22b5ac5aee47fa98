/* fetch.c - bodies that have left memory, read back from their segments.
 *
 * In a log segment the index says where the block begins; only the DISK_BLOCKs that the fact touches are read. In a
 * keep segment a page of its directory says where the fact lies: two reads, one behind the other. A segment that is
 * being read is not written meanwhile, whatever becomes of it. Whether the bytes are the right ones is for the caller
 * to see: a fact carries its own checksum, seeded by its position. */
#include "byteorder.h"
#include "log.h"
#include "mark.h"
#include "must.h"

uint32_t journal_fetch_bytes(uint32_t size)
{
    return (uint32_t)round_up(DISK_BLOCK - 8 + (uint64_t)size, DISK_BLOCK); /* wherever it begins */
}

static void fetch_finish(struct journal *j, uint8_t slot, enum leat_status status)
{
    struct reads *r = &j->reads;
    must(r->done_count < LOG_READS);
    if (r->slots[slot].owner != SEGMENT_NONE) {
        struct segment *s = &j->segments.pool[r->slots[slot].owner];
        must(s->reads > 0);
        s->reads--;
    }
    r->status[slot] = (uint8_t)status;
    r->done[(r->done_head + r->done_count++) % LOG_READS] = slot;
}

static bool fetch_submit(struct journal *j, uint8_t slot)
{
    struct read_slot *r = &j->reads.slots[slot];
    struct disk_op op = {.kind = DISK_READ, .file = j->segments.pool[r->owner].file, .tag = log_tag(LOG_READ, slot)};
    op.offset = r->paging ? r->page * (uint64_t)DISK_BLOCK : r->offset / DISK_BLOCK * DISK_BLOCK;
    op.data = r->paging ? j->reads.pages + slot * (size_t)DISK_BLOCK : r->data;
    op.size = r->paging ? DISK_BLOCK : (uint32_t)round_up(r->offset % DISK_BLOCK + r->body, DISK_BLOCK);
    r->size = op.size;
    *r->skip = (uint32_t)(r->offset % DISK_BLOCK);
    return disk_submit(j->disk, &op);
}

/* Where the fact lies, as far as is known without the disk; false: nowhere. */
static bool fetch_locate(struct journal *j, struct read_slot *r, uint32_t place)
{
    uint32_t order = segment_find(j, lsn_block(r->lsn));
    if (order == SEGMENT_NONE)
        return false;
    const struct segment *s = segment_at(j, order);
    uint64_t in = lsn_block(r->lsn) - s->first;
    if (s->keep ? lsn_block(r->lsn) > s->last : in >= s->blocks)
        return false;
    r->paging = s->keep;
    r->page = s->keep ? kept_page(s, r->lsn) : 0;
    r->offset = s->keep ? 0 : s->index[in] * (uint64_t)DISK_BLOCK + place;
    if (r->offset + r->body > j->segments.bytes)
        return false;
    r->owner = j->segments.order[order];
    r->life = s->incarnation;
    return true;
}

bool journal_fetch(struct journal *j, struct lsn lsn, uint32_t place, uint32_t size, void *data, uint32_t *skip,
                   uint64_t tag)
{
    struct reads *r = &j->reads;
    if (r->unused_count == 0)
        return false;
    uint8_t slot = r->unused[r->unused_count - 1];
    r->slots[slot] =
        (struct read_slot){.tag = tag, .owner = SEGMENT_NONE, .lsn = lsn, .body = size, .data = data, .skip = skip};
    j->counters.fetches++;
    if (!fetch_locate(j, &r->slots[slot], place)) {
        mark(fetch_of_nothing);
        r->unused_count--;
        fetch_finish(j, slot, LEAT_CORRUPT);
        return true;
    }
    if (!fetch_submit(j, slot))
        return false;
    j->segments.pool[r->slots[slot].owner].reads++;
    r->unused_count--;
    return true;
}

bool journal_spot(const struct journal *j, uint64_t block, struct journal_spot *spot)
{
    uint32_t order = segment_find(j, block);
    const struct segment *s = order == SEGMENT_NONE ? NULL : segment_at(j, order);
    if (!s || s->keep || block - s->first >= s->blocks)
        return false;
    spot->life = (uint64_t)s->name << 32 | s->incarnation;
    spot->offset = s->index[block - s->first] * (uint64_t)DISK_BLOCK;
    spot->bytes = j->segments.bytes;
    spot->next = s->first + s->blocks;
    spot->owner = j->segments.order[order];
    if (j->durable + 1 < spot->next)
        spot->end = j->durable < s->first ? 0 : s->index[j->durable + 1 - s->first] * (uint64_t)DISK_BLOCK;
    else
        spot->end = order + 1 == j->segments.log_count ? j->segments.tail : j->segments.bytes;
    return true;
}

bool journal_fetch_spot(struct journal *j, const struct journal_spot *spot, uint64_t offset, uint32_t size, void *data,
                        uint64_t tag)
{
    struct reads *r = &j->reads;
    struct segment *s = &j->segments.pool[spot->owner];
    must(offset + size <= j->segments.bytes);
    must(((uint64_t)s->name << 32 | s->incarnation) == spot->life);
    if (r->unused_count == 0)
        return false;
    uint8_t slot = r->unused[r->unused_count - 1];
    struct disk_op op = {.kind = DISK_READ, .file = s->file, .offset = offset, .data = data, .size = size};
    op.tag = log_tag(LOG_READ, slot);
    if (!disk_submit(j->disk, &op))
        return false;
    r->slots[slot] = (struct read_slot){.tag = tag, .owner = spot->owner, .size = size};
    r->unused_count--;
    s->reads++;
    j->counters.fetches++;
    return true;
}

/* The next read of this slot, now or in a later step. */
static void fetch_go_on(struct journal *j, uint8_t slot)
{
    struct read_slot *r = &j->reads.slots[slot];
    r->queued = !fetch_submit(j, slot);
    j->reads.queued += r->queued;
}

/* While the page was read, another keep segment took the place of this one: the fact has moved there. */
static void fetch_again(struct journal *j, uint8_t slot)
{
    struct read_slot *r = &j->reads.slots[slot];
    uint16_t before = r->owner;
    mark(fetch_moved);
    if (!fetch_locate(j, r, 0) || !r->paging) {
        fetch_finish(j, slot, LEAT_CORRUPT); /* or it has ended */
        return;
    }
    j->segments.pool[before].reads--;
    j->segments.pool[r->owner].reads++;
    fetch_go_on(j, slot);
}

static void fetch_paged(struct journal *j, uint8_t slot)
{
    struct read_slot *r = &j->reads.slots[slot];
    const struct segment *s = &j->segments.pool[r->owner];
    const uint8_t *page = j->reads.pages + slot * (size_t)DISK_BLOCK;
    struct keep_entry entry;
    uint32_t entries;
    if (s->incarnation != r->life) {
        fetch_again(j, slot);
        return;
    }
    if (!kept_open(j, s, r->page, page, &entries) || !keep_find(page, entries, r->lsn, &entry) ||
        entry.size8 * 8ull != r->body || entry.offset8 * 8ull + r->body > j->segments.bytes) {
        mark(fetch_of_nothing);
        fetch_finish(j, slot, LEAT_CORRUPT);
        return;
    }
    r->offset = entry.offset8 * 8ull;
    r->paging = false;
    fetch_go_on(j, slot);
}

void fetch_completed(struct journal *j, uint32_t slot, int32_t result)
{
    must(slot < LOG_READS);
    const struct read_slot *r = &j->reads.slots[slot];
    bool whole = result == (int32_t)r->size;
    if (!whole)
        mark(fetch_failed);
    if (whole && r->paging)
        fetch_paged(j, (uint8_t)slot);
    else
        fetch_finish(j, (uint8_t)slot, whole ? LEAT_OK : LEAT_DISK_ERROR);
}

unsigned fetch_step(struct journal *j)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < LOG_READS && j->reads.queued > 0; i++)
        if (j->reads.slots[i].queued) {
            j->reads.queued--;
            fetch_go_on(j, (uint8_t)i);
            n += !j->reads.slots[i].queued;
        }
    return n;
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
