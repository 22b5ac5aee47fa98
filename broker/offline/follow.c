/* follow.c - see follow.h. */
#include "follow.h"

#include <stdio.h>
#include <string.h>

enum leat_status follow_open(struct follow *f, const struct engine_capacity *capacity)
{
    memset(f, 0, sizeof *f);
    enum leat_status status = slab_open(&f->slots, capacity->slots, sizeof(struct follow_slot));
    if (status == LEAT_OK)
        status = slab_open(&f->queues, capacity->queues, (sizeof(struct follow_queue) + 7) / 8 * 8);
    if (status != LEAT_OK)
        follow_close(f);
    return status;
}

void follow_close(struct follow *f)
{
    slab_close(&f->slots);
    slab_close(&f->queues);
}

/* The slot or queue of a number; NULL for one that no capacity allows. */
static struct follow_slot *follow_slot(struct follow *f, uint32_t slot)
{
    return slot < f->slots.capacity ? slab_write(&f->slots, slot) : NULL;
}

static struct follow_queue *follow_queue(struct follow *f, uint32_t number)
{
    return number < f->queues.capacity ? slab_write(&f->queues, number) : NULL;
}

/* -- clocks -- */

static void follow_clock(struct follow *f, struct instant at, uint64_t wall_ns)
{
    if (f->walls_count > 0 && f->walls[f->walls_count - 1].at.ns >= at.ns)
        return;
    if (f->walls_count == FOLLOW_WALLS) {
        memmove(f->walls, f->walls + 1, sizeof f->walls - sizeof f->walls[0]);
        f->walls_count--;
    }
    f->walls[f->walls_count++] = (struct follow_wall){at, wall_ns};
}

uint64_t follow_wall(const struct follow *f, struct instant at)
{
    uint32_t i = f->walls_count;
    if (i == 0 || at.ns == INSTANT_NEVER.ns)
        return 0;
    while (i > 1 && f->walls[i - 1].at.ns > at.ns)
        i--;
    return f->walls[i - 1].wall_ns + (at.ns - f->walls[i - 1].at.ns); /* modulo 2^64: an instant before it, too */
}

/* -- a checkpoint -- */

void follow_names(struct follow *f, const struct engine *e)
{
    for (uint32_t i = 0; i < e->walls_count; i++)
        follow_clock(f, e->walls[i].at, e->walls[i].wall_ns);
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        struct follow_queue *known = follow_queue(f, i);
        if (!known || q->state == QUEUE_FREE)
            continue;
        *known = (struct follow_queue){.state = q->state == QUEUE_LIVE ? 1 : 2,
                                       .incarnation = q->incarnation,
                                       .dead_letter = q->dead_letter,
                                       .name = q->name};
    }
}

void follow_point(struct follow *f, const struct engine *e)
{
    for (uint32_t i = 0; i < e->queues.used; i++) {
        struct follow_queue *known = follow_queue(f, i);
        if (known)
            *known = (struct follow_queue){0};
    }
    follow_names(f, e);
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        struct follow_slot *s = follow_slot(f, i);
        if (!s)
            continue;
        *s = (struct follow_slot){.generation = m->generation, .known = 1, .sure = 1, .queue = SLAB_NONE};
        if (m->state != MESSAGE_FREE) {
            s->message = m->lsn;
            s->queue = m->queue;
        }
    }
}

/* -- facts -- */

static void follow_created(struct follow *f, const struct fact_queue *q)
{
    struct follow_queue *known = follow_queue(f, q->number);
    if (known)
        *known = (struct follow_queue){
            .state = 1, .incarnation = q->incarnation, .dead_letter = q->dead_letter, .name = q->name};
}

static void follow_put(struct follow *f, const struct fact *fact)
{
    struct follow_slot *s = fact->put.slot != SLAB_NONE ? follow_slot(f, fact->put.slot) : NULL;
    if (!s)
        return;
    s->sure = s->known;
    s->known = 1;
    s->message = fact->lsn;
    s->queue = fact->put.queue;
}

static void follow_leased(struct follow *f, const struct fact_leased *l)
{
    struct follow_slot *s = follow_slot(f, l->slot);
    if (s)
        *s = (struct follow_slot){
            .message = l->message, .generation = l->generation, .queue = l->queue, .known = 1, .sure = 1};
}

static struct lsn follow_slot_fact(struct follow *f, const struct fact *fact, uint32_t *queue)
{
    struct follow_slot *s = follow_slot(f, fact->slot.slot);
    if (!s || s->message.n == 0 || (s->sure ? s->generation != fact->slot.generation : f->strict))
        return LSN_NONE;
    struct lsn message = s->message;
    *queue = s->queue;
    s->sure = 1;
    s->generation = fact->slot.generation;
    switch (fact->kind) {
    case FACT_ACKED:
        s->message = LSN_NONE;
        s->queue = SLAB_NONE;
        break;
    case FACT_RETURNED:
        s->generation++;
        break;
    case FACT_MOVED:
        s->generation++;
        if (fact->slot.target != SLAB_NONE)
            s->queue = fact->slot.target;
        break;
    default:
        break;
    }
    return message;
}

struct lsn follow_fact(struct follow *f, const struct fact *fact, uint32_t *queue)
{
    *queue = SLAB_NONE;
    switch (fact->kind) {
    case FACT_QUEUE_CREATED:
        *queue = fact->queue.number;
        follow_created(f, &fact->queue);
        return LSN_NONE;
    case FACT_QUEUE_DROPPED:
    case FACT_REAPED: {
        struct follow_queue *known = follow_queue(f, fact->queue.number);
        *queue = fact->queue.number;
        if (known && known->state == 1)
            known->state = 2;
        return LSN_NONE;
    }
    case FACT_PUT:
        *queue = fact->put.queue;
        follow_put(f, fact);
        return fact->lsn;
    case FACT_LEASED:
        *queue = fact->leased.queue;
        follow_leased(f, &fact->leased);
        return fact->leased.message;
    case FACT_EPOCH:
        follow_clock(f, fact->at, fact->epoch.wall_ns);
        return LSN_NONE;
    case FACT_SESSION_OPENED:
    case FACT_SESSION_ENDED:
    case FACT_REFUSED:
        return LSN_NONE;
    default:
        return follow_slot_fact(f, fact, queue);
    }
}

const char *follow_name(const struct follow *f, uint32_t number)
{
    static char buffers[4][96];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    const struct follow_queue *q = number < f->queues.capacity ? slab_at(&f->queues, number) : NULL;
    if (q && q->state != 0)
        snprintf(out, sizeof buffers[0], "%.*s", (int)q->name.size, q->name.text);
    else
        snprintf(out, sizeof buffers[0], "#%u", number);
    return out;
}
