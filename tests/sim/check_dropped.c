/* check_dropped.c - I16: a queue that was dropped, and the drop acknowledged, gives no message any more, and honours no
 * receipt of those that it gave. */
#include "check.h"

static bool was_dropped(const struct history *h, const struct seen_lease *l, const struct stamp *asked)
{
    const struct seen_queue *q = &h->queues[l->queue];
    return q->dropped == YES && asked->world > q->drop_ended.world;
}

void check_dropped(struct history *h, const struct event *e)
{
    if (e->kind == EVENT_DELIVERED && !e->again) {
        const struct seen_lease *l = &h->leases[e->index];
        if (was_dropped(h, l, &l->asked))
            history_fail(h, "I16: message %u was leased from queue %u after that was dropped", l->message, l->queue);
    }
    if (e->kind == EVENT_FINISH_DONE && h->finishes[e->index].outcome == OUTCOME_OK) {
        const struct seen_finish *f = &h->finishes[e->index];
        const struct seen_lease *l = &h->leases[f->lease];
        if (was_dropped(h, l, &f->invoked))
            history_fail(h, "I16: a receipt of message %u was honoured after queue %u was dropped", l->message,
                         l->queue);
    }
}
