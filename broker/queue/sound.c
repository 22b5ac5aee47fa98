/* sound.c - first each item by itself, then the lists through them, bounded by what the counters say. */
#include "sound.h"

#include "byteorder.h"

struct totals {
    uint64_t queues, slots, chunks;
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
           m->where.place8 <= READY_PLACE8_MAX && m->where.size8 <= READY_SIZE8_MAX;
}

/* The free list of a slab has as many items as are not taken. */
static bool free_list_fits(const struct slab *s)
{
    uint32_t left = s->used - s->taken, i = s->free;
    for (; i != SLAB_NONE && left > 0; left--) {
        if (i >= s->used)
            return false;
        i = le32_get(slab_at(s, i));
    }
    return i == SLAB_NONE && left == 0;
}

/* A list of a queue: so many messages of that queue and state, linked both ways. */
static bool list_fits(const struct engine *e, uint32_t number, const struct queue_list *list, uint8_t state,
                      uint64_t count)
{
    uint32_t before = SLAB_NONE;
    uint32_t slot = list->head;
    for (; count > 0; count--) {
        if (slot >= e->slots.used)
            return false;
        const struct message *m = engine_message_at(e, slot);
        if (m->state != state || m->queue != number || m->previous != before)
            return false;
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
    if (q->state == QUEUE_LIVE && q->dead_letter != SLAB_NONE &&
        (q->dead_letter >= e->queues.used || engine_queue_at(e, q->dead_letter)->state != QUEUE_LIVE))
        return "a queue's dead-letter queue does not exist";
    if (!list_fits(e, number, &q->leased, MESSAGE_LEASED, c->leased) ||
        !list_fits(e, number, &q->delayed, MESSAGE_DELAYED, c->delayed) ||
        !list_fits(e, number, &q->dead, MESSAGE_DEAD, c->dead))
        return "a queue's list of leased, delayed or dead messages is broken";
    uint64_t heap = 0, entries = 0, chunks = 0;
    if (!ready_sound_heap(&q->ready, &e->slots, number, c->ready, &heap))
        return "a queue's heap of returned messages is broken";
    if (!ready_sound_chunks(&q->ready, &e->chunks, c->ready, &entries, &chunks))
        return "a queue's chunks of ready messages are broken";
    if (heap + entries != c->ready)
        return "a queue has not as many ready messages as it counts";
    t->queues++;
    t->slots += c->leased + c->delayed + c->dead + heap;
    t->chunks += chunks;
    return NULL;
}

const char *sound_check(const struct engine *e)
{
    struct totals t = {0};
    if (!free_list_fits(&e->queues) || !free_list_fits(&e->slots) || !free_list_fits(&e->chunks))
        return "a list of free items is broken";
    for (uint32_t i = 0; i < e->slots.used; i++)
        if (!message_fits(e, engine_message_at(e, i)))
            return "a message is in no place that exists";
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const char *wrong = queue_fits(e, i, &t);
        if (wrong)
            return wrong;
    }
    if (t.queues != e->queues.taken || t.slots != e->slots.taken || t.chunks != e->chunks.taken)
        return "the queues do not hold what is in use";
    return NULL;
}
