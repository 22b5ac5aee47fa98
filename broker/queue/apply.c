/* apply.c - one function per fact; place_*() and leave() keep lists, counters and wheel in step, so that no fact has to
 * remember all three. */
#include "apply.h"

#include <string.h>

#include "mark.h"

/* Apply alone changes the slabs, and only through these two. */
static struct queue *queue_write(struct engine *e, uint32_t number)
{
    return slab_write(&e->queues, number);
}

static struct message *message_write(struct engine *e, uint32_t slot)
{
    return slab_write(&e->slots, slot);
}

static void list_append(struct engine *e, struct queue_list *list, uint32_t slot)
{
    struct message *m = message_write(e, slot);
    m->next = SLAB_NONE;
    m->previous = list->tail;
    if (list->tail == SLAB_NONE)
        list->head = slot;
    else
        message_write(e, list->tail)->next = slot;
    list->tail = slot;
}

static void list_remove(struct engine *e, struct queue_list *list, uint32_t slot)
{
    const struct message *m = engine_message_at(e, slot);
    if (m->previous == SLAB_NONE)
        list->head = m->next;
    else
        message_write(e, m->previous)->next = m->next;
    if (m->next == SLAB_NONE)
        list->tail = m->previous;
    else
        message_write(e, m->next)->previous = m->previous;
}

static uint64_t *count_of(struct queue *q, uint8_t state)
{
    switch (state) {
    case MESSAGE_READY:
        return &q->counters.ready;
    case MESSAGE_LEASED:
        return &q->counters.leased;
    case MESSAGE_DELAYED:
        return &q->counters.delayed;
    default:
        return &q->counters.dead;
    }
}

static struct queue_list *list_of(struct queue *q, uint8_t state)
{
    return state == MESSAGE_LEASED ? &q->leased : state == MESSAGE_DELAYED ? &q->delayed : &q->dead;
}

/* A message in a slot leaves the place where it is. */
static void leave(struct engine *e, uint32_t slot)
{
    struct message *m = message_write(e, slot);
    struct queue *q = queue_write(e, m->queue);
    must(m->state != MESSAGE_FREE);
    if (m->state == MESSAGE_READY)
        ready_heap_remove(&q->ready, &e->slots, slot);
    else
        list_remove(e, list_of(q, m->state), slot);
    uint64_t *count = count_of(q, m->state);
    must(*count > 0);
    (*count)--;
    m->state = MESSAGE_FREE;
}

/* A message in a slot, which is nowhere, goes to a place of its queue. */
static void enter(struct engine *e, uint32_t slot, uint8_t state)
{
    struct message *m = message_write(e, slot);
    struct queue *q = queue_write(e, m->queue);
    must(m->state == MESSAGE_FREE);
    m->state = state;
    (*count_of(q, state))++;
    if (state == MESSAGE_READY)
        ready_heap_add(&q->ready, &e->slots, slot);
    else
        list_append(e, list_of(q, state), slot);
    if (state == MESSAGE_LEASED || state == MESSAGE_DELAYED)
        wheel_arm(&e->wheel, slot, m->due);
}

/* A message that is nowhere any more: its body is not needed, its slot is free. The generation stays, for the next
 * lease of the slot. */
static void end_message(struct engine *e, uint32_t slot, struct apply_effect *effect)
{
    struct message *m = message_write(e, slot);
    must(m->state == MESSAGE_FREE);
    queue_write(e, m->queue)->counters.bytes -= 8ull * m->where.size8;
    effect->gone[effect->gone_count++] = (struct message_body){m->lsn, m->where};
    slab_give(&e->slots, slot);
}

/* A fact names the slot that the slab gives next; a slot never used before starts at generation 0. */
static struct message *take_slot(struct engine *e, uint32_t expected)
{
    bool fresh = expected == e->slots.used;
    must(slab_take(&e->slots) == expected);
    struct message *m = message_write(e, expected);
    if (fresh)
        memset(m, 0, sizeof *m);
    m->state = MESSAGE_FREE;
    m->attempts = 0;
    m->epoch = 0;
    m->since = (struct instant){0}; /* child and rank as well */
    return m;
}

static void apply_created(struct engine *e, const struct fact_queue *f)
{
    must(slab_take(&e->queues) == f->number);
    struct queue *q = queue_write(e, f->number);
    memset(q, 0, sizeof *q);
    q->state = QUEUE_LIVE;
    q->incarnation = f->incarnation;
    q->dead_letter = f->dead_letter;
    q->name = f->name;
    q->attributes = f->attributes;
    ready_init(&q->ready);
    q->leased = q->delayed = q->dead = (struct queue_list){SLAB_NONE, SLAB_NONE};
    if (f->dead_letter != SLAB_NONE)
        queue_write(e, f->dead_letter)->sources++;
    if (f->incarnation > e->incarnations)
        e->incarnations = f->incarnation;
    names_add(&e->names, &q->name, f->number);
}

static void free_if_empty(struct engine *e, uint32_t number)
{
    struct queue *q = queue_write(e, number);
    const struct queue_counters *c = &q->counters;
    if (c->ready + c->leased + c->delayed + c->dead > 0)
        return;
    must(c->bytes == 0);
    q->state = QUEUE_FREE;
    slab_give(&e->queues, number);
    mark(queue_freed);
}

static void apply_dropped(struct engine *e, const struct fact_queue *f)
{
    struct queue *q = queue_write(e, f->number);
    must(q->state == QUEUE_LIVE);
    must(q->sources == 0);
    names_remove(&e->names, &q->name, f->number);
    if (q->dead_letter != SLAB_NONE)
        queue_write(e, q->dead_letter)->sources--;
    q->state = QUEUE_DROPPED;
    free_if_empty(e, f->number);
}

/* Any one slot of the queue, or SLAB_NONE. */
static uint32_t any_slot(const struct queue *q)
{
    if (q->ready.heap != SLAB_NONE)
        return q->ready.heap;
    if (q->leased.head != SLAB_NONE)
        return q->leased.head;
    return q->delayed.head != SLAB_NONE ? q->delayed.head : q->dead.head;
}

static void apply_reaped(struct engine *e, const struct fact_queue *f, struct apply_effect *effect)
{
    struct queue *q = queue_write(e, f->number);
    must(q->state == QUEUE_DROPPED);
    must(f->count <= APPLY_REAP_MAX);
    for (uint32_t i = 0; i < f->count; i++) {
        struct ready_entry entry;
        if (ready_first(&q->ready, &e->chunks, &entry)) {
            ready_pop(&q->ready, &e->chunks);
            q->counters.ready--;
            q->counters.bytes -= 8ull * entry.where.size8;
            effect->gone[effect->gone_count++] = (struct message_body){entry.lsn, entry.where};
            continue;
        }
        uint32_t slot = any_slot(q);
        must(slot != SLAB_NONE);
        leave(e, slot);
        end_message(e, slot, effect);
    }
    free_if_empty(e, f->number);
}

static void push_ready(struct engine *e, struct queue *q, const struct ready_entry *entry)
{
    ready_push(&q->ready, &e->chunks, entry);
    q->counters.ready++;
}

static void apply_put(struct engine *e, const struct fact *f)
{
    const struct fact_put *p = &f->put;
    struct queue *q = queue_write(e, p->queue);
    must(q->state == QUEUE_LIVE);
    struct message_where where = {f->place / 8, fact_size(f) / 8};
    q->counters.puts++;
    q->counters.bytes += fact_size(f);
    if (p->slot == SLAB_NONE) {
        struct ready_entry entry = {f->lsn, where, f->at, p->durability};
        push_ready(e, q, &entry);
        return;
    }
    struct message *m = take_slot(e, p->slot);
    m->lsn = f->lsn;
    m->where = where;
    m->sent = f->at;
    m->due = p->due;
    m->since = f->at;
    m->queue = p->queue;
    m->durability = p->durability;
    enter(e, p->slot, MESSAGE_DELAYED);
}

static void apply_leased(struct engine *e, const struct fact *f)
{
    const struct fact_leased *l = &f->leased;
    struct queue *q = queue_write(e, l->queue);
    struct message *m;
    if (l->slot == q->ready.heap) {
        leave(e, l->slot);
        m = message_write(e, l->slot);
    } else {
        struct ready_entry entry;
        must(ready_first(&q->ready, &e->chunks, &entry));
        ready_pop(&q->ready, &e->chunks);
        q->counters.ready--;
        m = take_slot(e, l->slot);
        m->lsn = entry.lsn;
        m->where = entry.where;
        m->sent = entry.sent;
        m->durability = entry.durability;
        m->queue = l->queue;
    }
    must(m->lsn.n == l->message.n);
#if LEAT_BUG != 20
    m->generation++;
    must(m->generation == l->generation);
#endif
    m->epoch = l->epoch;
    m->due = l->deadline;
    m->since = f->at;
    if (m->attempts < MESSAGE_ATTEMPTS_MAX)
        m->attempts++;
    q->counters.takes++;
    enter(e, l->slot, MESSAGE_LEASED);
}

static struct message *named(struct engine *e, const struct fact_slot *f)
{
    must(f->slot < e->slots.used);
    struct message *m = message_write(e, f->slot);
    must(m->generation == f->generation);
    return m;
}

static void apply_acked(struct engine *e, const struct fact_slot *f, struct apply_effect *effect)
{
    struct message *m = named(e, f);
    must(m->state == MESSAGE_LEASED || m->state == MESSAGE_READY);
    queue_write(e, m->queue)->counters.acks++;
    leave(e, f->slot);
    end_message(e, f->slot, effect);
}

static void apply_returned(struct engine *e, const struct fact *f)
{
    const struct fact_slot *r = &f->slot;
    struct message *m = named(e, r);
    must(m->state == MESSAGE_LEASED);
    queue_write(e, m->queue)->counters.nacks++;
    leave(e, r->slot);
    m->generation++; /* the consumer gave its receipt away */
    m->due = r->due;
    m->since = f->at;
    enter(e, r->slot, r->due.ns == 0 ? MESSAGE_READY : MESSAGE_DELAYED);
}

static void set_due(struct engine *e, uint32_t slot, struct instant due)
{
    message_write(e, slot)->due = due;
    wheel_arm(&e->wheel, slot, due);
}

static void apply_extended(struct engine *e, const struct fact_slot *f)
{
    struct message *m = named(e, f);
    must(m->state == MESSAGE_LEASED);
    set_due(e, f->slot, f->due);
}

static void apply_expired(struct engine *e, const struct fact_slot *f)
{
    struct message *m = named(e, f);
    must(m->state == MESSAGE_LEASED);
    queue_write(e, m->queue)->counters.expiries++;
    leave(e, f->slot);
    enter(e, f->slot, MESSAGE_READY);
}

/* A delay has ended. A message that was never delivered joins the end of the chunks and needs its slot no longer. */
static void apply_ripened(struct engine *e, const struct fact_slot *f)
{
    struct message *m = named(e, f);
    struct queue *q = queue_write(e, m->queue);
    must(m->state == MESSAGE_DELAYED);
    leave(e, f->slot);
    if (m->attempts > 0 || !ready_has_room(&q->ready, &e->chunks)) {
        enter(e, f->slot, MESSAGE_READY);
        return;
    }
    struct ready_entry entry = {m->lsn, m->where, m->sent, m->durability};
    slab_give(&e->slots, f->slot);
    push_ready(e, q, &entry);
}

static void apply_moved(struct engine *e, const struct fact *f)
{
    const struct fact_slot *l = &f->slot;
    struct message *m = named(e, l);
#if LEAT_BUG != 23
    must(m->state == MESSAGE_LEASED);
#endif
    struct queue *from = queue_write(e, m->queue);
    leave(e, l->slot);
    m->generation++; /* its last receipt ends with the lease */
    from->counters.dead_letters++;
    if (f->session) /* somebody gave it back; else its lease ran out */
        from->counters.nacks++;
    else
        from->counters.expiries++;
    if (l->target == SLAB_NONE) {
        enter(e, l->slot, MESSAGE_DEAD);
        return;
    }
    struct queue *to = queue_write(e, l->target);
    must(to->state == QUEUE_LIVE);
    from->counters.bytes -= 8ull * m->where.size8;
    to->counters.bytes += 8ull * m->where.size8;
    to->counters.puts++;
    if (to->moved_block < lsn_block(f->lsn))
        to->moved_block = lsn_block(f->lsn);
    m->queue = l->target;
    m->attempts = 0;
    enter(e, l->slot, MESSAGE_READY);
}

/* After another boot nobody knows how long the broker was away. So that no lease ends early, it starts again in full;
 * one that was extended for longer than its queue's leases has what was left of it. */
static void restart_lease(struct engine *e, uint32_t slot, struct instant before, struct instant now)
{
    struct message *m = message_write(e, slot);
    struct duration full = instant_since(m->due, m->since), left = instant_since(m->due, before);
    struct duration usual = engine_queue_at(e, m->queue)->attributes.lease;
    if (full.ns > usual.ns)
        full.ns = left.ns > usual.ns ? left.ns : usual.ns;
    m->since = now;
    set_due(e, slot, instant_add(now, full));
    mark(lease_started_again);
}

static void remember_epoch(struct engine *e, const struct fact *f)
{
    const struct fact_epoch *n = &f->epoch;
    e->epoch = (struct engine_epoch){.epoch = n->epoch, .at = f->at, .boot = n->boot, .wall_ns = n->wall_ns};
    memcpy(e->epoch.boot_id, n->boot_id, sizeof n->boot_id);
    if (e->walls_count == ENGINE_WALLS) {
        memmove(e->walls, e->walls + 1, sizeof e->walls - sizeof e->walls[0]);
        e->walls_count--;
    }
    e->walls[e->walls_count++] = (struct engine_wall){.epoch = n->epoch, .at = f->at, .wall_ns = n->wall_ns};
}

static void apply_epoch(struct engine *e, const struct fact *f, struct instant before)
{
    must(f->epoch.epoch > e->epoch.epoch);
    for (uint32_t slot = 0; slot < e->slots.used && !f->epoch.same_boot; slot++)
        if (engine_message_at(e, slot)->state == MESSAGE_LEASED)
            restart_lease(e, slot, before, f->at);
#if LEAT_BUG == 19
    struct instant step = {f->epoch.wall_ns - engine_wall(e, UINT32_MAX, f->at)};
    for (uint32_t slot = 0; slot < e->slots.used && step.ns < 1ull << 62; slot++)
        set_due(e, slot, (struct instant){instant_since(engine_message_at(e, slot)->due, step).ns});
#endif
#if LEAT_BUG == 24
    for (uint32_t slot = 0; slot < e->slots.used; slot++)
        message_write(e, slot)->attempts = 0;
#endif
    remember_epoch(e, f);
}

void apply_fact(struct engine *e, const struct fact *f, struct apply_effect *effect)
{
    effect->gone_count = 0;
    struct instant before = e->latest;
    e->latest = instant_max(e->latest, f->at);
    switch (f->kind) {
    case FACT_QUEUE_CREATED:
        return apply_created(e, &f->queue);
    case FACT_QUEUE_DROPPED:
        return apply_dropped(e, &f->queue);
    case FACT_REAPED:
        return apply_reaped(e, &f->queue, effect);
    case FACT_PUT:
        return apply_put(e, f);
    case FACT_LEASED:
        return apply_leased(e, f);
    case FACT_ACKED:
        return apply_acked(e, &f->slot, effect);
    case FACT_RETURNED:
        return apply_returned(e, f);
    case FACT_EXTENDED:
        return apply_extended(e, &f->slot);
    case FACT_EXPIRED:
        return apply_expired(e, &f->slot);
    case FACT_RIPENED:
        return apply_ripened(e, &f->slot);
    case FACT_MOVED:
        return apply_moved(e, f);
    case FACT_EPOCH:
        return apply_epoch(e, f, before);
    default:
        must(f->kind == FACT_MOVED); /* fact_decode() lets no unknown kind through; the rest is the sessions' */
    }
}

void apply_derive(struct engine *e)
{
    wheel_clear(&e->wheel, e->latest);
    names_clear(&e->names);
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        if (m->state == MESSAGE_LEASED || m->state == MESSAGE_DELAYED)
            wheel_arm(&e->wheel, i, m->due);
    }
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        if (q->state == QUEUE_LIVE)
            names_add(&e->names, &q->name, i);
    }
}
