/* fits.c - what apply.c and session.c rely on, asked. */
#include "fits.h"

#include "apply.h"
#include "limits.h"

static const struct queue *fits_queue(const struct engine *e, uint32_t number, uint32_t state)
{
    if (number >= e->queues.used)
        return NULL;
    const struct queue *q = engine_queue_at(e, number);
    return q->state == state ? q : NULL;
}

static bool fits_created(const struct engine *e, const struct fact_queue *f)
{
    return f->number == slab_next(&e->queues) && f->number != SLAB_NONE && f->name.size > 0 &&
           engine_find(e, &f->name) == SLAB_NONE &&
           (f->dead_letter == SLAB_NONE || fits_queue(e, f->dead_letter, QUEUE_LIVE));
}

static bool fits_reaped(const struct engine *e, const struct fact_queue *f)
{
    const struct queue *q = fits_queue(e, f->number, QUEUE_DROPPED);
    return q && f->count <= APPLY_REAP_MAX &&
           f->count <= q->counters.ready + q->counters.leased + q->counters.delayed + q->counters.dead;
}

static bool fits_put(const struct engine *e, const struct fact *f)
{
    const struct queue *q = fits_queue(e, f->put.queue, QUEUE_LIVE);
    if (!q || f->put.durability > 3 || f->at.ns < e->latest.ns || fact_size(f) / 8 > RUNS_SIZE8_MAX ||
        f->place / 8 > RUNS_PLACE8_MAX || lsn_block(f->lsn) > RUNS_BLOCK_MAX)
        return false;
    if (f->put.slot == SLAB_NONE)
        return ready_has_room(&q->ready, &e->chunks);
    return f->put.slot == slab_next(&e->slots);
}

static bool fits_leased(const struct engine *e, const struct fact_leased *l)
{
    const struct queue *q = fits_queue(e, l->queue, QUEUE_LIVE);
    struct ready_entry entry;
    if (!q || l->slot == SLAB_NONE)
        return false;
    if (l->slot == q->ready.heap) {
        const struct message *m = engine_message_at(e, l->slot);
        return m->lsn.n == l->message.n && l->generation == m->generation + 1;
    }
    if (l->slot != slab_next(&e->slots) || !ready_first(&q->ready, &e->chunks, &entry))
        return false;
    uint32_t before = l->slot == e->slots.used ? 0 : engine_message_at(e, l->slot)->generation;
    return entry.lsn.n == l->message.n && l->generation == before + 1;
}

static bool fits_slot(const struct engine *e, const struct fact *f)
{
    if (f->slot.slot >= e->slots.used)
        return false;
    const struct message *m = engine_message_at(e, f->slot.slot);
    if (m->generation != f->slot.generation || m->state == MESSAGE_FREE)
        return false;
    switch (f->kind) {
    case FACT_ACKED:
        return m->state == MESSAGE_LEASED || m->state == MESSAGE_READY;
    case FACT_RIPENED:
        return m->state == MESSAGE_DELAYED;
    case FACT_MOVED:
        return m->state == MESSAGE_LEASED && (f->slot.target == SLAB_NONE || fits_queue(e, f->slot.target, QUEUE_LIVE));
    default:
        return m->state == MESSAGE_LEASED;
    }
}

bool fits_fact(const struct engine *e, const struct session_table *t, const struct fact *f)
{
    const struct queue *q;
    uint16_t window = f->client.window;
    switch (f->kind) {
    case FACT_QUEUE_CREATED:
        return fits_created(e, &f->queue);
    case FACT_QUEUE_DROPPED:
        q = fits_queue(e, f->queue.number, QUEUE_LIVE);
        return q && q->sources == 0;
    case FACT_REAPED:
        return fits_reaped(e, &f->queue);
    case FACT_PUT:
        return fits_put(e, f);
    case FACT_LEASED:
        return fits_leased(e, &f->leased);
    case FACT_EPOCH:
        return f->epoch.epoch > e->epoch.epoch;
    case FACT_SESSION_OPENED:
        return session_may_open(t, f->client.handle) && window >= WINDOW_MIN && window <= WINDOW_MAX &&
               (window & (window - 1)) == 0;
    case FACT_SESSION_ENDED:
        return session_find(t, f->client.handle) != NULL;
    case FACT_REFUSED:
        return true;
    default:
        return fits_slot(e, f);
    }
}
