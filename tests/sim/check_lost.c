/* check_lost.c - I1: what was acknowledged is found in the end: acked by somebody, dead, or gone with its queue. */
#include "check.h"

static bool excused(const struct history *h, const struct seen_put *p)
{
    const struct seen_message *m = &h->messages[p->message];
    if (m->acks > 0 || m->ack_maybe > 0 || m->found_dead)
        return true;
    uint32_t q = p->queue;
    for (uint32_t steps = 0; q != HISTORY_NONE && steps <= h->n_queues; steps++, q = h->queues[q].dead_letter)
        if (h->queues[q].dropped != NO)
            return true;
    return p->durability == CLASS_MEMORY && history_may_be_lost(h, p->invoked.world, p->ended.world);
}

void check_lost(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_END)
        return;
    for (uint32_t i = 0; i < h->n_puts; i++) {
        const struct seen_put *p = &h->puts[i];
        if (p->outcome == OUTCOME_OK && !excused(h, p))
            return history_fail(h, "I1: put %u (message %u, acknowledged at %.6f s) was lost", i, p->message,
                                (double)p->ended.world / 1e9);
    }
}
