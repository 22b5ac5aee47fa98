/* ready.c - chunks of packed entries, and a pairing heap through the slots.
 *
 * An entry is two words:  lsn.block:44 | lsn.index:16 | durability:2 | 0:2     place8:19 | size8:18 | age_ms:27
 * where age_ms is the sending time relative to the chunk's, with an offset so that it may be earlier. A message whose
 * time does not fit there opens a new chunk. 44 bits of block number last for fifty years at ten thousand blocks a
 * second. */
#include "ready.h"

#include "mark.h"

struct chunk {
    uint32_t next;
    uint16_t first, end; /* entries first..end-1 are in use */
    uint64_t base_ms;
    uint64_t zero[2];
    uint64_t entries[READY_CHUNK_ENTRIES][2];
};
MUST_BE_SIZE(struct chunk, READY_CHUNK_BYTES);

enum { AGE_BITS = 27, AGE_OFFSET = 1 << (AGE_BITS - 1) };

static const struct chunk *chunk_at(const struct slab *chunks, uint32_t index)
{
    return slab_at(chunks, index);
}

static struct chunk *chunk_write(struct slab *chunks, uint32_t index)
{
    return slab_write(chunks, index);
}

static const struct message *message_at(const struct slab *slots, uint32_t slot)
{
    return slab_at(slots, slot);
}

static struct message *message_write(struct slab *slots, uint32_t slot)
{
    return slab_write(slots, slot);
}

void ready_init(struct ready *r)
{
    *r = (struct ready){.head = SLAB_NONE, .tail = SLAB_NONE, .heap = SLAB_NONE};
}

static bool fits_tail(const struct ready *r, const struct slab *chunks, struct instant sent)
{
    if (r->tail == SLAB_NONE)
        return false;
    const struct chunk *c = chunk_at(chunks, r->tail);
    uint64_t age = sent.ns / 1000000 - c->base_ms + AGE_OFFSET;
    return c->end < READY_CHUNK_ENTRIES && age < 1u << AGE_BITS;
}

bool ready_has_room(const struct ready *r, const struct slab *chunks, struct instant sent)
{
    return fits_tail(r, chunks, sent) || slab_next(chunks) != SLAB_NONE;
}

static void append_chunk(struct ready *r, struct slab *chunks, struct instant sent)
{
    uint32_t index = slab_take(chunks);
    must(index != SLAB_NONE);
    struct chunk *c = chunk_write(chunks, index);
    c->next = SLAB_NONE;
    c->first = c->end = 0;
    c->base_ms = sent.ns / 1000000;
    if (r->tail == SLAB_NONE)
        r->head = index;
    else
        chunk_write(chunks, r->tail)->next = index;
    r->tail = index;
}

void ready_push(struct ready *r, struct slab *chunks, const struct ready_entry *e)
{
    if (!fits_tail(r, chunks, e->sent))
        append_chunk(r, chunks, e->sent);
    struct chunk *c = chunk_write(chunks, r->tail);
    uint64_t age = e->sent.ns / 1000000 - c->base_ms + AGE_OFFSET;
    uint64_t *words = c->entries[c->end++];
    must(lsn_block(e->lsn) <= READY_BLOCK_MAX);
    must(e->where.place8 <= READY_PLACE8_MAX);
    must(e->where.size8 <= READY_SIZE8_MAX);
    words[0] = e->lsn.n << 4 | (uint64_t)e->durability << 2;
    words[1] = (uint64_t)e->where.place8 << 45 | (uint64_t)e->where.size8 << AGE_BITS | age;
}

static void unpack(const struct chunk *c, uint32_t index, struct ready_entry *e)
{
    const uint64_t *words = c->entries[index];
    uint64_t age = words[1] & ((1u << AGE_BITS) - 1);
    e->lsn.n = words[0] >> 4;
    e->durability = (uint8_t)(words[0] >> 2 & 3);
    e->where = (struct message_where){(uint32_t)(words[1] >> 45), (uint32_t)(words[1] >> AGE_BITS) & READY_SIZE8_MAX};
    e->sent.ns = (c->base_ms + age - AGE_OFFSET) * 1000000;
}

bool ready_first(const struct ready *r, const struct slab *chunks, struct ready_entry *e)
{
    if (r->head == SLAB_NONE)
        return false;
    const struct chunk *c = chunk_at(chunks, r->head);
    unpack(c, c->first, e);
    return true;
}

bool ready_next(const struct ready *r, const struct slab *chunks, struct ready_walk *w, struct ready_entry *e)
{
    uint32_t index = w->chunk_plus_1 ? w->chunk_plus_1 - 1 : r->head;
    if (index == SLAB_NONE)
        return false;
    const struct chunk *c = chunk_at(chunks, index);
    if (w->chunk_plus_1 == 0) {
        w->chunk_plus_1 = index + 1;
        w->entry = c->first;
    }
    if (w->entry == c->end) {
        if (c->next == SLAB_NONE)
            return false;
        w->chunk_plus_1 = c->next + 1;
        c = chunk_at(chunks, c->next);
        w->entry = c->first;
    }
    unpack(c, w->entry++, e);
    return true;
}

bool ready_at(const struct slab *chunks, uint32_t chunk, uint32_t i, struct ready_entry *e)
{
    const struct chunk *c = chunk_at(chunks, chunk);
    if (i >= (uint32_t)(c->end - c->first)) /* a free one ended with first == end */
        return false;
    unpack(c, c->first + i, e);
    return true;
}

void ready_pop(struct ready *r, struct slab *chunks)
{
    must(r->head != SLAB_NONE);
    struct chunk *c = chunk_write(chunks, r->head);
    if (++c->first < c->end)
        return;
    uint32_t empty = r->head;
    r->head = c->next;
    if (r->head == SLAB_NONE)
        r->tail = SLAB_NONE;
    slab_give(chunks, empty);
}

void ready_count(const struct ready *r, const struct slab *chunks, uint64_t *messages, uint64_t *bytes)
{
    for (uint32_t i = r->head; i != SLAB_NONE; i = chunk_at(chunks, i)->next) {
        const struct chunk *c = chunk_at(chunks, i);
        for (unsigned k = c->first; k < c->end; k++)
            *bytes += 8 * (c->entries[k][1] >> AGE_BITS & READY_SIZE8_MAX);
        *messages += c->end - c->first;
    }
}

/* Joins two heaps (roots without siblings); the lower position becomes the root. */
static uint32_t meld(struct slab *slots, uint32_t a, uint32_t b)
{
    if (a == SLAB_NONE || b == SLAB_NONE)
        return a == SLAB_NONE ? b : a;
    if (message_at(slots, b)->lsn.n < message_at(slots, a)->lsn.n) {
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    struct message *root = message_write(slots, a), *child = message_write(slots, b);
    child->next = (uint32_t)root->child;
    child->previous = a;
    if (child->next != SLAB_NONE)
        message_write(slots, child->next)->previous = b;
    root->child = b;
    return a;
}

/* Joins a list of siblings into one heap: pairs from left to right, then all from right to left. */
static uint32_t meld_siblings(struct slab *slots, uint32_t first)
{
    uint32_t pairs = SLAB_NONE; /* a stack through `next` */
    while (first != SLAB_NONE) {
        uint32_t second = message_at(slots, first)->next;
        uint32_t rest = second == SLAB_NONE ? SLAB_NONE : message_at(slots, second)->next;
        message_write(slots, first)->next = SLAB_NONE;
        if (second != SLAB_NONE)
            message_write(slots, second)->next = SLAB_NONE;
        uint32_t pair = meld(slots, first, second);
        message_write(slots, pair)->next = pairs;
        pairs = pair;
        first = rest;
    }
    uint32_t heap = SLAB_NONE;
    while (pairs != SLAB_NONE) {
        uint32_t next = message_at(slots, pairs)->next;
        message_write(slots, pairs)->next = SLAB_NONE;
        heap = meld(slots, heap, pairs);
        pairs = next;
    }
    if (heap != SLAB_NONE)
        message_write(slots, heap)->previous = SLAB_NONE;
    return heap;
}

void ready_heap_add(struct ready *r, struct slab *slots, uint32_t slot)
{
    struct message *m = message_write(slots, slot);
    m->next = m->previous = SLAB_NONE;
    m->child = SLAB_NONE;
    r->heap = meld(slots, r->heap, slot);
}

void ready_heap_remove(struct ready *r, struct slab *slots, uint32_t slot)
{
    struct message *m = message_write(slots, slot);
    uint32_t below = meld_siblings(slots, (uint32_t)m->child);
    m->child = SLAB_NONE;
    if (slot == r->heap) {
        r->heap = below;
        return;
    }
    mark(ready_heap_removed_inside);
    struct message *before = message_write(slots, m->previous);
    if (before->child == slot)
        before->child = m->next;
    else
        before->next = m->next;
    if (m->next != SLAB_NONE)
        message_write(slots, m->next)->previous = m->previous;
    r->heap = meld(slots, r->heap, below);
}

/* From the last sibling back to the first and up to their parent, which must be older than all of them; SLAB_NONE from
 * the root. */
static uint32_t climb(const struct slab *slots, uint32_t slot, bool *sound)
{
    uint64_t oldest = message_at(slots, slot)->lsn.n;
    uint32_t up = message_at(slots, slot)->previous;
    while (up != SLAB_NONE && message_at(slots, up)->child != slot) {
        slot = up;
        up = message_at(slots, slot)->previous;
        if (message_at(slots, slot)->lsn.n < oldest)
            oldest = message_at(slots, slot)->lsn.n;
    }
    if (up != SLAB_NONE && message_at(slots, up)->lsn.n >= oldest)
        *sound = false;
    return up;
}

/* Down to the first child, else on to the next sibling, else up until there is one. Going up follows only links that
 * were looked at on the way down. */
bool ready_sound_heap(const struct ready *r, const struct slab *slots, uint32_t queue, uint64_t max, uint64_t *count,
                      uint64_t *bytes)
{
    uint32_t before = SLAB_NONE;
    bool sound = true;
    *count = 0;
    for (uint32_t at = r->heap; at != SLAB_NONE && sound;) {
        if (at >= slots->used || ++*count > max || *count > slots->used)
            return false;
        const struct message *m = message_at(slots, at);
        if (m->state != MESSAGE_READY || m->queue != queue || m->previous != before)
            return false;
        *bytes += 8ull * m->where.size8;
        before = at;
        if (m->child != SLAB_NONE) {
            at = (uint32_t)m->child;
            continue;
        }
        while (before != SLAB_NONE && message_at(slots, before)->next == SLAB_NONE && sound)
            before = climb(slots, before, &sound);
        at = before == SLAB_NONE ? SLAB_NONE : message_at(slots, before)->next;
        if (before == r->heap)
            return false; /* the root has no sibling */
    }
    return sound;
}

bool ready_sound_chunks(const struct ready *r, const struct slab *chunks, uint64_t max, uint64_t *entries,
                        uint64_t *bytes, uint8_t *seen)
{
    uint32_t last = SLAB_NONE;
    *entries = 0;
    for (uint32_t at = r->head; at != SLAB_NONE;) {
        if (at >= chunks->used || seen[at])
            return false;
        seen[at] = 1;
        const struct chunk *c = chunk_at(chunks, at);
        if (c->first >= c->end || c->end > READY_CHUNK_ENTRIES)
            return false;
        *entries += c->end - c->first;
        if (*entries > max)
            return false;
        last = at;
        at = c->next;
    }
    uint64_t counted = 0;
    if (last == r->tail)
        ready_count(r, chunks, &counted, bytes);
    return last == r->tail;
}
