/* salvage_gather.c - what the whole blocks behind the hole say.
 *
 * A put is a candidate until something ends it: an ack, or the drop of its queue. An ack names a slot and a generation;
 * follow.h knows which message that was, if the lease stands behind the hole or was there before it. What an ack says
 * of a message of the state before the hole is kept in `gone`. */
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "must.h"
#include "salvage_state.h"

/* -- lists -- */

static bool gather_grow(struct salvage *s, void **items, uint64_t count, uint64_t *room, size_t size)
{
    if (count < *room)
        return true;
    uint64_t more = *room ? *room * 2 : 256;
    void *bigger = realloc(*items, more * size);
    s->no_memory |= !bigger;
    if (!bigger)
        return false;
    *items = bigger;
    *room = more;
    return true;
}

bool salvage_gather_add(struct salvage *s, struct salvage_lsns *l, struct lsn lsn)
{
    void *items = l->n;
    if (!gather_grow(s, &items, l->count, &l->room, sizeof l->n[0]))
        return false;
    l->n = items;
    l->n[l->count++] = lsn.n;
    return true;
}

static int gather_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void salvage_gather_sort(struct salvage_lsns *l)
{
    if (l->count == 0)
        return;
    qsort(l->n, l->count, sizeof l->n[0], gather_order);
    uint64_t kept = 1;
    for (uint64_t i = 1; i < l->count; i++)
        if (l->n[i] != l->n[kept - 1])
            l->n[kept++] = l->n[i];
    l->count = kept;
}

bool salvage_gather_has(const struct salvage_lsns *l, struct lsn lsn)
{
    return l->count > 0 && bsearch(&lsn.n, l->n, l->count, sizeof l->n[0], gather_order) != NULL;
}

/* -- queues -- */

static uint32_t gather_queue(struct salvage *s, struct salvage_queue queue)
{
    void *items = s->queues;
    uint64_t room = s->queues_room;
    if (!gather_grow(s, &items, s->queues_count, &room, sizeof s->queues[0]))
        return SLAB_NONE;
    s->queues = items;
    s->queues_room = (uint32_t)room;
    s->queues[s->queues_count] = queue;
    return s->queues_count++;
}

static void gather_drop(struct salvage *s, uint32_t queue)
{
    if (queue != SLAB_NONE)
        s->queues[queue].dropped = true; /* its puts end with it (gather_settle) */
}

/* The queue that a put means. One that was made in the hole is known by its number alone. */
static uint32_t gather_queue_of(struct salvage *s, uint32_t number)
{
    if (number >= s->o->engine.queues)
        return SLAB_NONE;
    if (s->current[number] != SLAB_NONE)
        return s->current[number];
    struct salvage_queue q = {.number = SLAB_NONE, .was = number, .nameless = true};
    char text[NAME_MAX_BYTES];
    q.name.size = (uint8_t)snprintf(text, sizeof text, "salvaged-%u", number);
    memcpy(q.name.text, text, q.name.size);
    mark(salvage_nameless_queue);
    return s->current[number] = gather_queue(s, q);
}

static void gather_created(struct salvage *s, const struct fact_queue *f)
{
    if (f->number >= s->o->engine.queues)
        return;
    gather_drop(s, s->current[f->number]); /* its drop stood in the hole */
    struct salvage_queue q = {.name = f->name, .attributes = f->attributes, .number = SLAB_NONE, .was = f->number};
    s->current[f->number] = gather_queue(s, q);
}

static bool gather_start(struct salvage *s)
{
    const struct engine *e = s->engine;
    s->current = malloc(s->o->engine.queues * sizeof s->current[0]);
    if (!s->current)
        return false;
    for (uint32_t i = 0; i < s->o->engine.queues; i++)
        s->current[i] = SLAB_NONE;
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        if (q->state == QUEUE_LIVE)
            s->current[i] = gather_queue(
                s, (struct salvage_queue){.name = q->name, .attributes = q->attributes, .number = i, .was = i});
    }
    return !s->no_memory;
}

/* -- puts -- */

static struct salvage_put *gather_find(struct salvage *s, struct lsn lsn)
{
    uint64_t low = 0, high = s->puts_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (s->puts[middle].lsn.n < lsn.n)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->puts_count && s->puts[low].lsn.n == lsn.n ? &s->puts[low] : NULL;
}

static void gather_put(struct salvage *s, const struct fact *f, const struct scan_block *b, uint32_t at)
{
    void *items = s->puts;
    if (s->puts_count > 0 && s->puts[s->puts_count - 1].lsn.n >= f->lsn.n)
        return; /* a second copy of a block */
    if (!gather_grow(s, &items, s->puts_count, &s->puts_room, sizeof s->puts[0]))
        return;
    s->puts = items;
    uint32_t queue = gather_queue_of(s, f->put.queue);
    if (queue == SLAB_NONE) {
        s->count.puts_damaged++;
        return;
    }
    s->puts[s->puts_count++] = (struct salvage_put){
        .lsn = f->lsn,
        .due = f->put.slot == SLAB_NONE ? INSTANT_ZERO : f->put.due,
        .where8 = (uint32_t)((b->offset + RECORD_HEADER + at) / 8), /* of a kept fact, too (scan.c) */
        .queue = queue,
        .segment = (uint16_t)(b->segment - s->scan.segments)};
    s->count.puts++;
}

/* -- what became of a message -- */

static void gather_acked(struct salvage *s, struct lsn message)
{
    struct salvage_put *p = gather_find(s, message);
    if (message.n == 0) {
        s->count.acks_unknown++;
    } else if (p && !p->gone) {
        p->gone = true;
        s->count.puts_gone++;
    } else if (!p) {
        salvage_gather_add(s, &s->gone, message);
    }
}

static void gather_slot(struct salvage *s, const struct fact *f, struct lsn message)
{
    struct salvage_put *p = message.n ? gather_find(s, message) : NULL;
    if (f->kind == FACT_ACKED)
        gather_acked(s, message);
    else if (p && f->kind == FACT_RETURNED)
        p->due = f->slot.due;
    else if (p && f->kind == FACT_MOVED && f->slot.target != SLAB_NONE)
        p->queue = gather_queue_of(s, f->slot.target);
}

static void gather_leased(struct salvage *s, const struct fact_leased *l)
{
    struct salvage_put *p = gather_find(s, l->message);
    if (p)
        p->due = INSTANT_ZERO;
    else if (lsn_block(l->message) >= s->judge.next)
        salvage_gather_add(s, &s->hole, l->message);
}

static void gather_fact(struct salvage *s, const struct fact *f, const struct scan_block *b, uint32_t at)
{
    uint32_t queue;
    struct lsn message = follow_fact(&s->follow, f, &queue);
    s->now = instant_max(s->now, f->at);
    switch (f->kind) {
    case FACT_PUT:
        gather_put(s, f, b, at);
        return;
    case FACT_QUEUE_CREATED:
        gather_created(s, &f->queue);
        return;
    case FACT_QUEUE_DROPPED:
        if (f->queue.number < s->o->engine.queues) {
            gather_drop(s, s->current[f->queue.number]);
            s->current[f->queue.number] = SLAB_NONE;
        }
        return;
    case FACT_LEASED:
        gather_leased(s, &f->leased);
        return;
    case FACT_EPOCH:
        s->clock = *f;
        s->known_clock = true;
        return;
    case FACT_REAPED:
    case FACT_SESSION_OPENED:
    case FACT_SESSION_ENDED:
    case FACT_REFUSED:
        return;
    default:
        gather_slot(s, f, message);
    }
}

static void gather_block(void *context, const struct scan_block *b)
{
    struct salvage *s = context;
    uint32_t at = 0;
    s->count.behind_blocks++;
    for (uint32_t i = 0; i < b->r.facts && !s->no_memory; i++) {
        struct fact f;
        if (fact_decode(&f, b->payload + at, b->r.payload_size - at, lsn_make(b->r.number, b->index + i), false) !=
            LEAT_OK)
            return;
        gather_fact(s, &f, b, at);
        at += fact_size(&f);
    }
}

/* Puts of dropped queues are gone. Messages of the hole that were acknowledged are no loss; those that were not are
 * known to be lost. */
static void gather_settle(struct salvage *s)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < s->puts_count; i++) {
        bool dropped = s->queues[s->puts[i].queue].dropped;
        s->count.puts_gone += dropped && !s->puts[i].gone;
        s->puts[i].gone |= dropped;
    }
    salvage_gather_sort(&s->gone);
    salvage_gather_sort(&s->hole);
    for (uint64_t i = 0; i < s->hole.count; i++)
        if (!salvage_gather_has(&s->gone, (struct lsn){s->hole.n[i]}))
            s->hole.n[kept++] = s->hole.n[i];
    s->hole.count = kept;
}

/* In the order of the log: a put whose position is not higher than that of the one before is taken for a second copy.
 * Of keep segments, those count that the state has not seen. */
static enum leat_status gather_segment(struct salvage *s, uint32_t i, char error[SOURCE_ERROR])
{
    const struct scan_segment *g = &s->scan.segments[i];
    enum leat_status status = LEAT_OK;
    if (g->keep && g->listed_first >= s->judge.next && g->listed_first > s->point.block)
        return scan_keep(&s->scan, i, gather_block, s, error);
    for (uint32_t k = 0; k < g->runs && status == LEAT_OK; k++) {
        const struct scan_run *r = &s->scan.runs[g->runs_from + k];
        bool behind = i > s->judge.segment || (i == s->judge.segment && r->from >= s->judge.offset);
        if (behind && r->taken && r->first >= s->judge.next && !judge_is_astray(&s->judge, &s->scan, r))
            status = scan_again(&s->scan, i, r->from, r->end, gather_block, s, error);
    }
    return status;
}

static enum leat_status gather_astray(struct salvage *s, const struct scan_run *r, char error[SOURCE_ERROR])
{
    return scan_again(&s->scan, r->segment, r->from, r->from + r->size, gather_block, s, error);
}

enum leat_status salvage_gather_behind(struct salvage *s, char error[SOURCE_ERROR])
{
    enum leat_status status = LEAT_OK;
    if (!gather_start(s) || follow_open(&s->follow, &s->o->engine) != LEAT_OK)
        return source_say(LEAT_NO_MEMORY, error, "no memory for what stands behind the damage");
    s->follow.strict = true;
    follow_point(&s->follow, s->engine);
    if (s->judge.astray > 0) /* it comes before all that stands behind its own place */
        status = gather_astray(s, &s->scan.runs[s->judge.astray - 1], error);
    for (uint32_t i = 0; i < s->scan.segments_count && status == LEAT_OK && s->judge.rotten; i++)
        status = gather_segment(s, i, error);
    gather_settle(s);
    if (s->no_memory)
        return source_say(LEAT_NO_MEMORY, error, "no memory for what stands behind the damage");
    return status;
}

/* -- bodies that the state needs -- */

static int gather_run_order(const void *a, const void *b)
{
    const struct scan_run *const *x = a, *const *y = b;
    return (*x)->first < (*y)->first ? -1 : (*x)->first > (*y)->first;
}

/* The last run that begins with this block or before; they are sorted by their first block. */
static const struct scan_run *gather_run(const struct scan_run *const *runs, uint64_t count, uint64_t block)
{
    uint64_t low = 0, high = count; /* the last run with first <= block is in [low - 1, high - 1] */
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (runs[middle]->first <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? runs[low - 1] : NULL;
}

/* Whether a body whose block is damaged is whole all the same: its fact has checksums of its own, by which a broker
 * delivers it, too. `shown`: segment that the source shows. */
static bool gather_body_whole(struct salvage *s, const struct scan_run *before, const struct message_body *body,
                              uint32_t *shown)
{
    char name[DISK_NAME_MAX], error[SOURCE_ERROR];
    if (!before || lsn_block(body->lsn) != scan_last(before) + 1)
        return false; /* where it begins is not known */
    if (*shown != before->segment) {
        source_segment_name(name, s->scan.segments[before->segment].number);
        *shown = UINT32_MAX;
        if (source_file(&s->source, name, error) != LEAT_OK)
            return false;
        *shown = before->segment;
    }
    uint64_t offset = before->end + 8ull * body->where.place8, size = 8ull * body->where.size8, available;
    if (size < FACT_HEADER || size > RECORD_MAX || offset > s->source.size || size > s->source.size - offset)
        return false;
    uint64_t into = offset % DISK_BLOCK;
    const uint8_t *page = source_at(&s->source, offset - into, into + size, &available);
    struct fact f;
    return available >= into + size && fact_decode(&f, page + into, (uint32_t)size, body->lsn, true) == LEAT_OK;
}

enum leat_status salvage_gather_lost(struct salvage *s, char error[SOURCE_ERROR])
{
    struct engine_walk walk = {0};
    struct message_body body;
    uint64_t count = 0;
    const struct scan_run **runs = calloc(s->scan.runs_count + 1ull, sizeof *runs);
    s->no_memory |= !runs;
    for (uint32_t i = 0; i < s->scan.runs_count && runs; i++)
        if (s->scan.runs[i].taken)
            runs[count++] = &s->scan.runs[i];
    if (runs)
        qsort(runs, count, sizeof *runs, gather_run_order);
    if (s->scan.kept_count > 0)
        qsort(s->scan.kept, s->scan.kept_count, sizeof s->scan.kept[0], gather_order);
    const struct salvage_lsns kept = {.n = s->scan.kept, .count = s->scan.kept_count};
    uint32_t shown = UINT32_MAX;
    while (!s->no_memory && engine_walk(s->engine, &walk, &body)) {
        const struct scan_run *run = gather_run(runs, count, lsn_block(body.lsn));
        s->count.prefix_messages++;
        if (run && lsn_block(body.lsn) - run->first < run->count)
            continue;
        if (!salvage_gather_has(&kept, body.lsn) && !gather_body_whole(s, run, &body, &shown))
            salvage_gather_add(s, &s->lost, body.lsn);
    }
    source_leave(&s->source);
    free(runs);
    if (s->no_memory)
        return source_say(LEAT_NO_MEMORY, error, "no memory for the list of lost messages");
    salvage_gather_sort(&s->lost);
    s->count.lost = s->lost.count;
    return LEAT_OK;
}
