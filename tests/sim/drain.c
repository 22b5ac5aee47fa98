/* drain.c - see drain.h. */
#include "drain.h"

#include <string.h>

#include "world.h"

static const struct draw_actor manners = {.link = LINK_STREAM, .window = WINDOW_MIN, .finish_batch = 1000};

void drain_open(struct drain *d, struct world *w)
{
    memset(d, 0, sizeof *d);
    actor_open(&d->actor, w, DRAIN_LINK, &manners);
    agenda_add(&w->agenda, w->now, ENTRY_ACTOR, DRAIN_LINK, 0, NULL);
}

void drain_close(struct drain *d)
{
    if (d->actor.w)
        actor_close(&d->actor);
    d->actor.w = NULL;
}

/* Log time at which the last lease or delay ends, or 0. */
static uint64_t last_due(const struct engine *e)
{
    uint64_t due = 0;
    for (uint32_t i = 0; i < e->slots.used; i++) {
        const struct message *m = engine_message_at(e, i);
        if ((m->state == MESSAGE_LEASED || m->state == MESSAGE_DELAYED) && m->due.ns > due)
            due = m->due.ns;
    }
    return due;
}

/* Something became ready behind our back. */
static bool any_ready(const struct engine *e)
{
    for (uint32_t i = 0; i < e->queues.used; i++) {
        const struct queue *q = engine_queue_at(e, i);
        if (q->state != QUEUE_FREE && (q->counters.ready > 0 || q->state == QUEUE_DROPPED))
            return true;
    }
    return false;
}

/* Every queue was found empty. What is leased or delayed is waited for. */
static void round_ends(struct drain *d)
{
    struct world *w = d->actor.w;
    const struct engine *e = shard_engine(w->broker.shard);
    uint64_t due = last_due(e);
    d->at = 0;
    d->found = false;
    d->over = due == 0 && (!any_ready(e) || d->rounds == DRAIN_ROUNDS_MAX);
    if (d->over)
        return;
    if (++d->rounds > DRAIN_ROUNDS_MAX)
        return history_fail(&w->history, "L4: after %u rounds messages are still leased or delayed", d->rounds);
    uint64_t log = broker_log(&w->broker);
    uint64_t wait = (due > log ? due - log : 0) + 20000000;
    actor_die(&d->actor, true, w->now + wait);
}

bool drain_work(struct drain *d)
{
    struct actor *a = &d->actor;
    struct world *w = a->w;
    if (d->asked || d->over || w->now < a->think_until || a->held_count > 0 || client_pending(a->client) > 0 ||
        !broker_up(&w->broker))
        return false;
    const struct engine *e = shard_engine(w->broker.shard);
    while (d->at < e->queues.used && engine_queue_at(e, d->at)->state != QUEUE_LIVE)
        d->at++;
    if (d->at == e->queues.used) {
        if (d->found)
            d->at = 0, d->found = false;
        else
            round_ends(d);
        return false;
    }
    const struct queue *q = engine_queue_at(e, d->at);
    uint32_t queue = history_queue(&w->history, &q->name, (struct queue_ref){d->at, q->incarnation}, &q->attributes);
    d->asked = actor_take(a, queue, 100);
    return d->asked;
}

static void refused(struct drain *d, enum leat_status status)
{
    struct world *w = d->actor.w;
    struct shard_counters c = {0};
    d->actor.think_until = w->now + 20000000;
    if (++d->refusals < DRAIN_REFUSALS_MAX)
        return;
    if (broker_up(&w->broker))
        shard_count(w->broker.shard, &c);
    history_fail(
        &w->history, "L3: takes are answered %s for ever (%llu segments, %llu free, %llu bytes of disk, %llu blocks)",
        status_name(status), (unsigned long long)c.journal.segments, (unsigned long long)c.journal.free_segments,
        (unsigned long long)c.journal.disk_bytes, (unsigned long long)c.appended);
}

void drain_took(struct drain *d, enum leat_status status)
{
    d->asked = false;
    d->refusals = status == LEAT_OK ? 0 : d->refusals;
    if (status == LEAT_OK)
        d->found = true;
    else if (status == LEAT_EMPTY || status == LEAT_LEASES_FULL) /* full: delayed ones make room when they end */
        d->at++;
    else
        refused(d, status);
}

bool drain_over(const struct drain *d)
{
    return d->over;
}
