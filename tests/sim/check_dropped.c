/* check_dropped.c - I16: a queue that was dropped, and the drop acknowledged, gives no message any more. */
#include "check.h"

void check_dropped(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED || e->again)
        return;
    const struct seen_lease *l = &h->leases[e->index];
    const struct seen_queue *q = &h->queues[l->queue];
    if (q->dropped == YES && l->asked.world > q->drop_ended.world)
        history_fail(h, "I16: message %u was leased from queue %u after that was dropped", l->message, l->queue);
}
