/* hot.c - the last blocks of the log, in memory, in the buffers that they were written from.
 *
 * One ring of hot_bytes is the end of an endless tape: a block stands in one piece at `at % bytes`, skipping the ring's
 * end where it would not fit. A block is found by its number (slot = number & mask) and is whole as long as the tape
 * has not come round to it. Between two steps the tape may be written up to `guard`, and only blocks out of its reach
 * are shown, so that a pointer given out stays good until the next step. Blocks in flight are never written over:
 * hot_bytes >= (depth + 2) * block_bytes_max leaves room for them, the open block and what the ring's end wastes. */
#include "log.h"
#include "must.h"

/* Where the next block would start. */
static uint64_t hot_next(const struct journal *j)
{
    const struct hot *h = &j->hot;
    uint64_t left = h->bytes - h->at % h->bytes;
    return left < j->block_max ? h->at + left : h->at;
}

bool hot_open(struct journal *j)
{
    struct hot *h = &j->hot;
    must(j->open.number == 0);
    uint64_t at = hot_next(j);
    uint64_t end = at + j->block_max;
    if (end > h->guard)
        return false;
    if (j->flying > 0 && h->slots[(j->durable + 1) & h->mask].at + h->bytes < end)
        return false;
    uint64_t number = j->sealed + 1;
    h->slots[number & h->mask] = (struct hot_slot){.number = number, .at = at};
    j->open = (struct open_block){.number = number, .bytes = h->ring + at % h->bytes};
    return true;
}

void hot_seal(struct journal *j, uint32_t size)
{
    struct hot *h = &j->hot;
    struct hot_slot *slot = &h->slots[j->open.number & h->mask];
    must(slot->number == j->open.number);
    slot->size = size;
    h->at = slot->at + size;
}

void hot_step(struct journal *j)
{
    j->hot.guard = j->hot.at + 3 * (uint64_t)j->block_max;
}

const uint8_t *journal_hot(const struct journal *j, struct lsn lsn, uint32_t place, uint32_t size)
{
    const struct hot *h = &j->hot;
    uint64_t number = lsn_block(lsn);
    if (number == j->open.number)
        return (uint64_t)place + size <= RECORD_HEADER + j->open.payload ? j->open.bytes + place : NULL;
    const struct hot_slot *slot = &h->slots[number & h->mask];
    if (slot->number != number || number > j->sealed || (uint64_t)place + size > slot->size)
        return NULL;
    if (number <= j->durable && slot->at + h->bytes < h->guard)
        return NULL;
    return h->ring + slot->at % h->bytes + place;
}
