/* engine.c - opening, finding and telling; the changes are in apply.c. */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mark.h"
#include "must.h"

uint32_t engine_chunks(uint64_t ready_max, uint64_t queues)
{
    uint64_t chunks = (ready_max + RUNS_LEAST - 1) / RUNS_LEAST + 2 * queues;
    return chunks < SLAB_NONE ? (uint32_t)chunks : SLAB_NONE - 1;
}

uint64_t engine_ready_max(uint32_t chunks, uint64_t queues)
{
    return chunks > 2 * queues ? (chunks - 2 * queues - 1) * RUNS_LEAST + 1 : 1;
}

enum leat_status engine_capacity_say(const char *option, uint64_t least, char error[256])
{
    snprintf(error, 256,
             "%s is smaller than what this data directory was used with, which its log may need: set it to "
             "%" PRIu64 " at least",
             option, least);
    return LEAT_BAD_VALUE;
}

enum leat_status engine_capacity_holds(const struct engine_capacity *was, const struct engine_capacity *is,
                                       char error[256])
{
    if (is->queues < was->queues)
        return engine_capacity_say("queues_max", was->queues, error);
    if (is->slots < was->slots)
        return engine_capacity_say("leases_max", was->slots, error);
    if (is->ready_chunks < was->ready_chunks)
        return engine_capacity_say("ready_max", engine_ready_max(was->ready_chunks, is->queues), error);
    return LEAT_OK;
}

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

bool engine_walk_run(const struct engine *e, struct engine_walk *w, struct message_body *body, uint32_t *count)
{
    while (w->slot < e->slots.used) {
        const struct message *m = engine_message_at(e, w->slot++);
        if (m->state == MESSAGE_FREE)
            continue;
        *body = (struct message_body){m->lsn, m->where};
        *count = 1;
        return true;
    }
    for (; w->queue < e->queues.used; w->queue++, w->ready = (struct ready_walk){0}) {
        const struct queue *q = engine_queue_at(e, w->queue);
        struct ready_entry entry;
        if (q->state == QUEUE_FREE || !ready_next_run(&q->ready, &e->chunks, &w->ready, &entry, count))
            continue;
        *body = (struct message_body){entry.lsn, entry.where};
        return true;
    }
    return false;
}

bool engine_walk(const struct engine *e, struct engine_walk *w, struct message_body *body)
{
    w->body.lsn.n++;
    w->body.where.place8 += w->body.where.size8;
    if (w->left == 0 && !engine_walk_run(e, w, &w->body, &w->left))
        return false;
    w->left--;
    *body = w->body;
    return true;
}

/* -- a sweep: who still stands in an old stretch of the log -- */

enum { SWEEP_WAITING, SWEEP_CHUNKS, SWEEP_OTHERS, SWEEP_OVER };

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

/* How many of a run stand up to `told` and with it; 0 if that is not in it. */
static uint32_t sweep_until(struct lsn told, const struct ready_entry *e, uint32_t count)
{
    return told.n >= e->lsn.n && told.n - e->lsn.n < count ? (uint32_t)(told.n - e->lsn.n) + 1 : 0;
}

static bool sweep_holds(const struct runs *c, struct lsn told)
{
    struct runs_walk w;
    struct ready_entry run;
    uint32_t count;
    for (bool more = runs_walk_begin(c, &w, &run, &count); more; more = runs_walk_next(c, &w, &run, &count))
        if (sweep_until(told, &run, count) > 0)
            return true;
    return false;
}

/* One chunk, from behind s->told if it still holds that; how many runs were looked at. */
static uint32_t sweep_chunk(const struct engine *e, struct engine_sweep *s, uint32_t room, struct message_body *out,
                            uint32_t *n)
{
    const struct runs *c = slab_at(&e->chunks, s->at);
    bool skipping = s->told.n != 0 && sweep_holds(c, s->told);
    struct runs_walk w;
    struct ready_entry run;
    uint32_t count, looks = 0;
    for (bool more = runs_walk_begin(c, &w, &run, &count); more; more = runs_walk_next(c, &w, &run, &count)) {
        uint32_t i = skipping ? sweep_until(s->told, &run, count) : 0;
        looks++;
        if (skipping && i == 0)
            continue;
        skipping = false;
        for (; i < count && sweep_wants(s, run.lsn); i++) {
            if (*n == room) {
                mark(sweep_of_a_chunk_goes_on);
                return looks;
            }
            s->told.n = run.lsn.n + i;
            out[*n].lsn = s->told;
            out[(*n)++].where = (struct message_where){run.where.place8 + i * run.where.size8, run.where.size8};
        }
    }
    s->at++;
    s->told = LSN_NONE;
    return looks;
}

static void sweep_chunks(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                         uint32_t *n)
{
    for (uint32_t looks = 0; looks < places && *n < 4 * places && s->at < e->chunks.used;)
        looks += 1 + sweep_chunk(e, s, 4 * places, out, n);
}

bool engine_sweep(const struct engine *e, struct engine_sweep *s, uint32_t places, struct message_body *out,
                  uint32_t *n)
{
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
