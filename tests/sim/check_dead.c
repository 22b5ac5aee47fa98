/* check_dead.c - I11: a message has at most max_attempts attempts in a queue, then it is in the dead-letter queue, and
 * never here again. */
#include "check.h"

/* `up` was leased in a queue whose dead letters come to the queue of `down`. */
static void compare(struct history *h, const struct seen_lease *up, const struct seen_lease *down)
{
    uint32_t max = h->queues[up->queue].attributes.max_attempts;
    if (!history_is_disk(h, up->message) && history_may_be_lost(h, down->from, down->got.world))
        return;
    if (history_later(up, down))
        return history_fail(h, "I11: message %u was in the dead-letter queue %u and is back in queue %u", up->message,
                            down->queue, up->queue);
    if (up->epoch == down->epoch && down->generation - up->generation <= max - up->attempts)
        history_fail(h, "I11: message %u is a dead letter after attempt %u of %u", up->message, up->attempts, max);
}

void check_dead(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED || e->again)
        return;
    const struct seen_lease *l = &h->leases[e->index];
    uint32_t max = h->queues[l->queue].attributes.max_attempts;
    if (max != 0 && l->attempts > max)
        return history_fail(h, "I11: message %u has attempt %u of %u", l->message, l->attempts, max);
    if (h->messages[l->message].body == HISTORY_NONE)
        return;
    for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE && !h->failed; i = h->leases[i].older) {
        const struct seen_lease *o = &h->leases[i];
        if (o->queue == l->queue)
            continue;
        if (history_leads_to(h, o->queue, l->queue))
            compare(h, o, l);
        else
            compare(h, l, o);
    }
}
