/* check_counters.c - I17: ready + leased + delayed + dead is what is stored, and stats equal a recount. */
#include <string.h>

#include "check_broker.h"
#include "mark.h"

static void check_queue(struct history *h, const struct engine *e, uint32_t number)
{
    const struct queue *q = engine_queue_at(e, number);
    struct queue_counters c = engine_recount(e, number);
    if (memcmp(&c, &q->counters, sizeof c) != 0)
        return history_fail(h,
                            "I17: queue %s counts %llu ready, %llu leased, %llu delayed, %llu dead, %llu bytes; "
                            "there are %llu, %llu, %llu, %llu, %llu",
                            q->name.text, (unsigned long long)q->counters.ready, (unsigned long long)q->counters.leased,
                            (unsigned long long)q->counters.delayed, (unsigned long long)q->counters.dead,
                            (unsigned long long)q->counters.bytes, (unsigned long long)c.ready,
                            (unsigned long long)c.leased, (unsigned long long)c.delayed, (unsigned long long)c.dead,
                            (unsigned long long)c.bytes);
    if (q->state == QUEUE_LIVE && c.puts != c.acks + c.dead_letters + c.ready + c.leased + c.delayed)
        history_fail(h,
                     "I17: of %llu messages of queue %s, %llu were acked, %llu became dead letters, and %llu are left",
                     (unsigned long long)c.puts, q->name.text, (unsigned long long)c.acks,
                     (unsigned long long)c.dead_letters, (unsigned long long)(c.ready + c.leased + c.delayed));
}

void check_counters(struct history *h, const struct engine *e)
{
    for (uint32_t i = 0; i < e->queues.used && !h->failed; i++)
        if (engine_queue_at(e, i)->state != QUEUE_FREE)
            check_queue(h, e, i);
}

/* Dead messages keep their slots; when they have all, nothing more can be leased, and what is ready stays. */
static bool full_of_dead(const struct engine *e)
{
    uint32_t dead = 0;
    for (uint32_t slot = 0; slot < e->slots.used; slot++)
        dead += engine_message_at(e, slot)->state == MESSAGE_DEAD;
    return dead == e->slots.capacity;
}

void check_drained(struct history *h, const struct engine *e)
{
    struct engine_walk walk = {0};
    struct message_body body;
    check_counters(h, e);
    if (full_of_dead(e)) {
        mark(sim_dead_messages_took_all_slots);
        while (engine_walk(e, &walk, &body))
            history_found_dead(h, body.lsn);
        return;
    }
    for (uint32_t i = 0; i < e->queues.used && !h->failed; i++) {
        const struct queue *q = engine_queue_at(e, i);
        if (q->state == QUEUE_FREE)
            continue;
        if (q->counters.ready + q->counters.leased + q->counters.delayed > 0 || q->state == QUEUE_DROPPED)
            return history_fail(h, "L3: queue %s has messages that nobody could get", q->name.text);
        for (uint32_t slot = q->dead.head; slot != SLAB_NONE; slot = engine_message_at(e, slot)->next)
            history_found_dead(h, engine_message_at(e, slot)->lsn);
    }
}
