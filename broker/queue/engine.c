/* engine.c - opening, finding and telling; the changes are in apply.c. */
#include "engine.h"

#include <string.h>

#include "must.h"

enum leat_status engine_open(struct engine *e, const struct engine_capacity *capacity, struct instant start)
{
    memset(e, 0, sizeof *e);
    e->capacity = *capacity;
    enum leat_status status = slab_open(&e->queues, capacity->queues, sizeof(struct queue));
    if (status == LEAT_OK)
        status = slab_open(&e->slots, capacity->slots, sizeof(struct message));
    if (status == LEAT_OK)
        status = slab_open(&e->chunks, capacity->ready_chunks, sizeof(struct runs));
    if (status == LEAT_OK)
        status = slab_image_open(&e->queues);
    if (status == LEAT_OK)
        status = slab_image_open(&e->slots);
    if (status == LEAT_OK)
        status = slab_image_open(&e->chunks);
    if (status == LEAT_OK)
        status = wheel_open(&e->wheel, capacity->slots, start);
    if (status == LEAT_OK)
        status = names_open(&e->names, capacity->queues);
    if (status != LEAT_OK)
        engine_close(e);
    return status;
}

void engine_close(struct engine *e)
{
    slab_close(&e->queues);
    slab_close(&e->slots);
    slab_close(&e->chunks);
    wheel_close(&e->wheel);
    names_close(&e->names);
}

static const struct name *name_of(const void *owner, uint32_t number)
{
    return &engine_queue_at(owner, number)->name;
}

uint32_t engine_find(const struct engine *e, const struct name *name)
{
    return names_find(&e->names, name, name_of, e);
}

const struct queue *engine_queue(const struct engine *e, struct queue_ref ref)
{
    if (ref.number >= e->queues.used)
        return NULL;
    const struct queue *q = engine_queue_at(e, ref.number);
    return q->state == QUEUE_LIVE && q->incarnation == ref.incarnation ? q : NULL;
}

static struct duration age_of_ready(const struct engine *e, const struct queue *q, struct instant now)
{
    struct instant oldest = now;
    struct ready_entry entry;
    if (ready_first(&q->ready, &e->chunks, &entry))
        oldest = instant_min(oldest, entry.sent);
    if (q->ready.heap != SLAB_NONE)
        oldest = instant_min(oldest, engine_message_at(e, q->ready.heap)->sent);
    return instant_since(now, oldest);
}

void engine_stat(const struct engine *e, uint32_t number, struct instant now, struct reply_stat *stat)
{
    const struct queue *q = engine_queue_at(e, number);
    const struct queue_counters *c = &q->counters;
    *stat = (struct reply_stat){
        .queue = {number, q->incarnation},
        .attributes = q->attributes,
        .name = q->name,
        .ready = c->ready,
        .leased = c->leased,
        .delayed = c->delayed,
        .dead = c->dead,
        .bytes = c->bytes,
        .puts = c->puts,
        .takes = c->takes,
        .acks = c->acks,
        .nacks = c->nacks,
        .expiries = c->expiries,
        .dead_letters = c->dead_letters,
        .oldest_ready = age_of_ready(e, q, now),
    };
    if (q->leased.head != SLAB_NONE)
        stat->oldest_leased = instant_since(now, engine_message_at(e, q->leased.head)->since);
    if (q->delayed.head != SLAB_NONE)
        stat->oldest_delayed = instant_since(now, engine_message_at(e, q->delayed.head)->since);
}

uint64_t engine_wall(const struct engine *e, uint32_t epoch, struct instant sent)
{
    if (e->walls_count == 0)
        return 0;
    uint32_t i = e->walls_count - 1;
    while (i > 0 && e->walls[i].epoch > epoch)
        i--;
    const struct engine_wall *w = &e->walls[i];
    return w->wall_ns + (sent.ns - w->at.ns); /* modulo 2^64: right for a `sent` before the epoch, too */
}

struct instant engine_next_due(const struct engine *e)
{
    return wheel_next_due(&e->wheel);
}

bool engine_walk(const struct engine *e, struct engine_walk *w, struct message_body *body)
{
    while (w->slot < e->slots.used) {
        const struct message *m = engine_message_at(e, w->slot++);
        if (m->state == MESSAGE_FREE)
            continue;
        *body = (struct message_body){m->lsn, m->where};
        return true;
    }
    for (; w->queue < e->queues.used; w->queue++, w->ready = (struct ready_walk){0}) {
        const struct queue *q = engine_queue_at(e, w->queue);
        struct ready_entry entry;
        if (q->state == QUEUE_FREE || !ready_next(&q->ready, &e->chunks, &w->ready, &entry))
            continue;
        *body = (struct message_body){entry.lsn, entry.where};
        return true;
    }
    return false;
}

/* -- a sweep: who still stands in an old stretch of the log -- */

enum { SWEEP_WAITING, SWEEP_CHUNKS, SWEEP_OTHERS, SWEEP_OVER, SWEEP_CHUNK_COST = 16 };

static bool sweep_wants(const struct engine_sweep *s, struct lsn lsn)
{
    return lsn_block(lsn) >= s->first && lsn_block(lsn) <= s->last;
}

static void sweep_slots(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                        uint32_t *n)
{
    for (; places > 0 && s->at < e->slots.used; places--, s->at++) {
        const struct message *m = engine_message_at(e, s->at);
        bool never_leased = m->state == MESSAGE_DELAYED && m->attempts == 0;
#if LEAT_BUG == 52
        never_leased = s->pass == SWEEP_WAITING && s->first == 0; /* chunks, then slots, and no more */
#endif
        if (m->state != MESSAGE_FREE && never_leased == (s->pass == SWEEP_WAITING) && sweep_wants(s, m->lsn))
            out[(*n)++] = (struct message_body){m->lsn, m->where};
    }
}

static void sweep_chunks(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                         uint32_t *n)
{
    for (uint32_t looks = places / SWEEP_CHUNK_COST; looks > 0 && s->at < e->chunks.used; looks--, s->at++) {
        struct ready_entry entry;
        for (uint32_t i = 0; ready_at(&e->chunks, s->at, i, &entry); i++)
            if (sweep_wants(s, entry.lsn))
                out[(*n)++] = (struct message_body){entry.lsn, entry.where};
    }
}

bool engine_sweep(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                  uint32_t *n)
{
    must(places >= SWEEP_CHUNK_COST);
    *n = 0;
    if (s->pass == SWEEP_OVER)
        return false;
    if (s->pass == SWEEP_CHUNKS)
        sweep_chunks(e, s, places, out, n);
    else
        sweep_slots(e, s, places, out, n);
    if (s->at >= (s->pass == SWEEP_CHUNKS ? e->chunks.used : e->slots.used)) {
        s->pass++;
        s->at = 0;
    }
    return true;
}

struct queue_counters engine_recount(const struct engine *e, uint32_t number)
{
    const struct queue *q = engine_queue_at(e, number);
    struct queue_counters c = q->counters;
    c.ready = c.leased = c.delayed = c.dead = c.bytes = 0;
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        if (m->state == MESSAGE_FREE || m->queue != number)
            continue;
        c.ready += m->state == MESSAGE_READY;
        c.leased += m->state == MESSAGE_LEASED;
        c.delayed += m->state == MESSAGE_DELAYED;
        c.dead += m->state == MESSAGE_DEAD;
        c.bytes += 8ull * m->where.size8;
    }
    ready_count(&q->ready, &e->chunks, &c.ready, &c.bytes);
    return c;
}
