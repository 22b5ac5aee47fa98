/* stage_time.c - what happens by itself: leases and delays that end, waits that are over, dropped queues that are
 * reaped.
 *
 * A budget per iteration keeps each step short, however many leases end at one instant. A fact that finds no room in
 * the log waits in due_slot; nothing behind it is fired meanwhile. On the last segments of a full disk it waits so
 * until acks and a checkpoint have made room: a lease that has ended unlogged can still be acked, and nobody else has
 * it. */
#include "stages.h"

#include "buggify.h"
#include "mark.h"

enum { TIME_BUDGET = 64 };

/* The slot's lease or delay has ended, as a fact. False: no room in the log. */
static bool stage_time_due(struct shard *s, uint32_t slot)
{
    struct fact f;
    struct instant again;
    if (!plan_due(&s->engine, slot, s->log_now, &f, &again)) {
        if (again.ns != INSTANT_NEVER.ns)
            wheel_arm(&s->engine.wheel, slot, again);
        return true;
    }
    return stage_request_log(s, &f, JOURNAL_TIME, false) == LEAT_OK;
}

#if LEAT_BUG == 23 /* a message that was returned for the last time is moved by a fact of its own, later */
static void stage_time_move(struct shard *s, uint32_t slot)
{
    const struct message *m = engine_message_at(&s->engine, slot);
    const struct queue *q = engine_queue_at(&s->engine, m->queue);
    struct fact f = {.kind = FACT_MOVED, .at = s->log_now, .slot = {slot, m->generation, .target = q->dead_letter}};
    if (m->state == MESSAGE_READY && q->attributes.max_attempts && m->attempts >= q->attributes.max_attempts)
        stage_request_log(s, &f, JOURNAL_TIME, false);
}
#endif

static unsigned stage_time_engine(struct shard *s)
{
    unsigned n = 0, budget = buggify(time_in_small_steps) ? 1 : TIME_BUDGET;
    while (n < budget) {
        if (s->due_slot == SLAB_NONE)
            s->due_slot = wheel_fire(&s->engine.wheel, s->log_now);
        if (s->due_slot == SLAB_NONE || !stage_time_due(s, s->due_slot))
            return n;
        s->due_slot = SLAB_NONE;
        n++;
    }
    return n;
}

static unsigned stage_time_desk(struct shard *s)
{
    unsigned n = 0;
    uint32_t places = s->desk.sessions_max * s->desk.window_max;
    for (; n < TIME_BUDGET; n++) {
        uint32_t fired = wheel_fire(&s->desk.wheel, s->log_now);
        if (fired == SLAB_NONE)
            return n;
        if (fired < places)
            stage_take_timeout(s, fired);
        else
            stage_session_silent(s, fired - places);
    }
    return n;
}

static uint32_t stage_time_find_dropped(const struct shard *s)
{
    for (uint32_t i = 0; i < s->engine.queues.used; i++) {
#if LEAT_BUG == 31
        if (engine_queue_at(&s->engine, i)->counters.leased > 0)
            continue; /* whoever has a message may finish it */
#endif
        if (engine_queue_at(&s->engine, i)->state == QUEUE_DROPPED)
            return i;
    }
    return SLAB_NONE;
}

static unsigned stage_time_reap(struct shard *s)
{
    if (s->dropped == 0)
        return 0;
    struct fact f;
    if (s->reaping == SLAB_NONE || !plan_reap(&s->engine, s->reaping, &f)) {
        s->reaping = stage_time_find_dropped(s);
        if (s->reaping == SLAB_NONE) {
#if LEAT_BUG != 31
            s->dropped = 0;
#endif
            return 0;
        }
        must(plan_reap(&s->engine, s->reaping, &f));
    }
    f.at = s->log_now;
    mark(queue_reaped);
    return stage_request_log(s, &f, JOURNAL_ACK, false) == LEAT_OK;
}

unsigned stage_time_run(struct shard *s)
{
#if LEAT_BUG == 23
    for (uint32_t slot = 0; slot < s->engine.slots.used; slot++)
        stage_time_move(s, slot);
#endif
    return stage_time_engine(s) + stage_time_desk(s) + stage_time_reap(s);
}
