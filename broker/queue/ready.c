/* ready.c - the chunks of a queue: a list from the oldest to the newest, taken from at the one end and added to at the
 * other. What a chunk holds is the business of runs.c. */
#include "ready.h"

#include "mark.h"

static const struct runs *chunk_at(const struct slab *chunks, uint32_t index)
{
    return slab_at(chunks, index);
}

static struct runs *chunk_write(struct slab *chunks, uint32_t index)
{
    return slab_write(chunks, index);
}

void ready_init(struct ready *r)
{
    *r = (struct ready){.head = SLAB_NONE, .tail = SLAB_NONE, .heap = SLAB_NONE};
}

bool ready_has_room(const struct ready *r, const struct slab *chunks)
{
    return slab_next(chunks) != SLAB_NONE || (r->tail != SLAB_NONE && runs_has_room(chunk_at(chunks, r->tail)));
}

static void append_chunk(struct ready *r, struct slab *chunks, const struct ready_entry *e)
{
    uint32_t index = slab_take(chunks);
    must(index != SLAB_NONE);
    struct runs *c = chunk_write(chunks, index);
    runs_begin(c, e);
    c->next = SLAB_NONE;
    if (r->tail == SLAB_NONE) {
        r->head = index;
    } else {
        chunk_write(chunks, r->tail)->next = index;
        mark(ready_chunk_follows);
    }
    r->tail = index;
}

void ready_push(struct ready *r, struct slab *chunks, const struct ready_entry *e)
{
    must(lsn_block(e->lsn) <= RUNS_BLOCK_MAX);
    must(e->where.place8 <= RUNS_PLACE8_MAX);
    must(e->where.size8 <= RUNS_SIZE8_MAX);
    must(e->durability <= 3);
    if (r->tail == SLAB_NONE || !runs_push(chunk_write(chunks, r->tail), e))
        append_chunk(r, chunks, e);
}

bool ready_first(const struct ready *r, const struct slab *chunks, struct ready_entry *e)
{
    if (r->head == SLAB_NONE)
        return false;
    runs_first(chunk_at(chunks, r->head), e);
    return true;
}

void ready_pop(struct ready *r, struct slab *chunks)
{
    must(r->head != SLAB_NONE);
    struct runs *c = chunk_write(chunks, r->head);
    if (runs_pop(c))
        return;
    uint32_t empty = r->head;
    r->head = c->next;
    if (r->head == SLAB_NONE)
        r->tail = SLAB_NONE;
    slab_give(chunks, empty);
}

bool ready_next_run(const struct ready *r, const struct slab *chunks, struct ready_walk *w, struct ready_entry *e,
                    uint32_t *count)
{
    uint32_t index = r->head;
    if (w->chunk_plus_1) {
        const struct runs *c = chunk_at(chunks, w->chunk_plus_1 - 1);
        if (runs_walk_next(c, &w->in, e, count))
            return true;
        index = c->next;
    }
    if (index == SLAB_NONE)
        return false;
    w->chunk_plus_1 = index + 1;
    return runs_walk_begin(chunk_at(chunks, index), &w->in, e, count);
}

bool ready_next(const struct ready *r, const struct slab *chunks, struct ready_walk *w, struct ready_entry *e)
{
    if (w->left > 0) {
        w->left--;
        w->entry.lsn.n++;
        w->entry.where.place8 += w->entry.where.size8;
    } else {
        if (!ready_next_run(r, chunks, w, &w->entry, &w->left))
            return false;
        w->left--;
    }
    *e = w->entry;
    return true;
}

void ready_count(const struct ready *r, const struct slab *chunks, uint64_t *messages, uint64_t *bytes)
{
    struct ready_walk w = {0};
    struct ready_entry e;
    uint32_t count;
    while (ready_next_run(r, chunks, &w, &e, &count)) {
        *messages += count;
        *bytes += 8ull * e.where.size8 * count;
    }
}

bool ready_sound(const struct ready *r, const struct slab *chunks, uint64_t max, uint64_t *entries, uint64_t *bytes,
                 uint8_t *seen)
{
    uint32_t last = SLAB_NONE;
    for (uint32_t at = r->head; at != SLAB_NONE; at = chunk_at(chunks, at)->next) {
        if (at >= chunks->used || seen[at] || !runs_sound(chunk_at(chunks, at)))
            return false;
        seen[at] = 1;
        last = at;
    }
    *entries = 0;
    if (last == r->tail)
        ready_count(r, chunks, entries, bytes);
    return last == r->tail && *entries <= max;
}
