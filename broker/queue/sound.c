/* sound.c - first each item by itself, then the lists through them, bounded by what the counters say. */
#include "sound.h"

#include <stdlib.h>

#include "byteorder.h"

struct totals {
    uint64_t queues, slots;
    uint8_t *chunk_seen; /* a byte a chunk: it is in a queue or free */
    uint32_t *sources;   /* by queue: whose dead-letter queue it is */
};

static bool link_fits(const struct slab *s, uint64_t link)
{
    return link == SLAB_NONE || link < s->used;
}

static bool message_fits(const struct engine *e, const struct message *m)
{
    if (m->state > MESSAGE_DEAD || !link_fits(&e->slots, m->next))
        return false;
    if (m->state == MESSAGE_FREE)
        return true;
    if (!link_fits(&e->slots, m->previous) || (m->state == MESSAGE_READY && !link_fits(&e->slots, m->child)))
        return false;
    return m->queue < e->queues.used && engine_queue_at(e, m->queue)->state != QUEUE_FREE && m->durability <= 3 &&
           m->where.place8 <= RUNS_PLACE8_MAX && m->where.size8 <= RUNS_SIZE8_MAX &&
           lsn_block(m->lsn) <= RUNS_BLOCK_MAX;
}

static bool slot_is_free(const struct engine *e, uint32_t i, struct totals *t)
{
    (void)t;
    return engine_message_at(e, i)->state == MESSAGE_FREE;
}

static bool queue_is_free(const struct engine *e, uint32_t i, struct totals *t)
{
    (void)t;
    return engine_queue_at(e, i)->state == QUEUE_FREE;
}

static bool chunk_is_free(const struct engine *e, uint32_t i, struct totals *t)
{
    (void)e;
    return t->chunk_seen[i]++ == 0;
}

typedef bool is_free(const struct engine *e, uint32_t i, struct totals *t);

/* The free list of a slab has as many items as are not taken, and nothing else holds them. */
static bool free_list_fits(const struct engine *e, const struct slab *s, is_free *is_free, struct totals *t)
{
    uint32_t left = s->used - s->taken, i = s->free;
    for (; i != SLAB_NONE && left > 0; left--) {
        if (i >= s->used || !is_free(e, i, t))
            return false;
        i = le32_get(slab_at(s, i));
    }
    return i == SLAB_NONE && left == 0;
}

/* A list of a queue: so many messages of that queue and state, linked both ways. */
static bool list_fits(const struct engine *e, uint32_t number, const struct queue_list *list, uint8_t state,
                      uint64_t count, uint64_t *bytes)
{
    uint32_t before = SLAB_NONE;
    uint32_t slot = list->head;
    for (; count > 0; count--) {
        if (slot >= e->slots.used)
            return false;
        const struct message *m = engine_message_at(e, slot);
        if (m->state != state || m->queue != number || m->previous != before)
            return false;
        *bytes += 8ull * m->where.size8;
        before = slot;
        slot = m->next;
    }
    return slot == SLAB_NONE && list->tail == before;
}

static const char *queue_fits(const struct engine *e, uint32_t number, struct totals *t)
{
    const struct queue *q = engine_queue_at(e, number);
    const struct queue_counters *c = &q->counters;
    if (q->state == QUEUE_FREE)
        return NULL;
    if (q->state > QUEUE_DROPPED || q->name.size == 0 || q->name.size > sizeof q->name.text)
        return "a queue is neither live nor dropped, or has no name";
    if (q->state == QUEUE_LIVE && q->dead_letter != SLAB_NONE) {
        if (q->dead_letter >= e->queues.used || engine_queue_at(e, q->dead_letter)->state != QUEUE_LIVE)
            return "a queue's dead-letter queue does not exist";
        t->sources[q->dead_letter]++;
    }
    uint64_t heap = 0, entries = 0, bytes = 0;
    if (!list_fits(e, number, &q->leased, MESSAGE_LEASED, c->leased, &bytes) ||
        !list_fits(e, number, &q->delayed, MESSAGE_DELAYED, c->delayed, &bytes) ||
        !list_fits(e, number, &q->dead, MESSAGE_DEAD, c->dead, &bytes))
        return "a queue's list of leased, delayed or dead messages is broken";
    if (!ready_heap_sound(&q->ready, &e->slots, number, c->ready, &heap, &bytes))
        return "a queue's heap of returned messages is broken";
    if (!ready_sound(&q->ready, &e->chunks, c->ready, &entries, &bytes, t->chunk_seen))
        return "a queue's chunks of ready messages are broken";
    if (heap + entries != c->ready || bytes != c->bytes)
        return "a queue has not as many ready messages or bytes as it counts";
    t->queues++;
    t->slots += c->leased + c->delayed + c->dead + heap;
    return NULL;
}

static const char *check(const struct engine *e, struct totals *t)
{
    for (uint32_t i = 0; i < e->slots.used; i++)
        if (!message_fits(e, engine_message_at(e, i)))
            return "a message is in no place that exists";
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const char *wrong = queue_fits(e, i, t);
        if (wrong)
            return wrong;
    }
    if (!free_list_fits(e, &e->queues, queue_is_free, t) || !free_list_fits(e, &e->slots, slot_is_free, t) ||
        !free_list_fits(e, &e->chunks, chunk_is_free, t))
        return "a list of free items is broken";
    for (uint32_t i = 0; i < e->queues.used; i++)
        if (engine_queue_at(e, i)->state != QUEUE_FREE && engine_queue_at(e, i)->sources != t->sources[i])
            return "a dead-letter queue counts other queues than it has";
    for (uint32_t i = 0; i < e->chunks.used; i++)
        if (!t->chunk_seen[i])
            return "a chunk is neither in a queue nor free";
    if (t->queues != e->queues.taken || t->slots != e->slots.taken)
        return "the queues do not hold what is in use";
    return NULL;
}

const char *sound_check(const struct engine *e)
{
    struct totals t = {.chunk_seen = calloc(e->chunks.used + 1ull, 1),
                       .sources = calloc(e->queues.used + 1ull, sizeof *t.sources)};
    const char *wrong = t.chunk_seen && t.sources ? check(e, &t) : "there is no memory to look at it";
    free(t.chunk_seen);
    free(t.sources);
    return wrong;
}
