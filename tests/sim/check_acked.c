/* check_acked.c - I9: an acknowledged ack is final: no lease comes after it, and it cannot be had twice.
 *
 * An ack acts only with the newest receipt, so a lease above the acked one was given after the ack, whatever the net
 * did to the order of the answers. Acks of memory-class messages may be lost in a crash, and so may leases. */
#include "check.h"

static bool ack_may_be_lost(const struct history *h, uint32_t message)
{
    const struct seen_message *m = &h->messages[message];
    return !history_is_disk(h, message) && history_may_be_lost(h, m->ack_invoked.world, m->ack_ended.world);
}

void check_acked(struct history *h, const struct event *e)
{
    uint32_t message;
    if (e->kind == EVENT_DELIVERED && !e->again)
        message = h->leases[e->index].message;
    else if (e->kind == EVENT_FINISH_DONE && h->finishes[e->index].op == OP_ACK)
        message = h->leases[h->finishes[e->index].lease].message;
    else
        return;
    const struct seen_message *m = &h->messages[message];
    if (m->acks > 1)
        return history_fail(h, "I9: message %u was acked twice", message);
    if (m->acks == 0 || ack_may_be_lost(h, message))
        return;
    for (uint32_t i = m->lease; i != HISTORY_NONE; i = h->leases[i].older) {
        const struct seen_lease *o = &h->leases[i];
        if (history_later(o, &h->leases[m->acked]) && !history_may_be_lost(h, o->from, o->got.world))
            return history_fail(h, "I9: message %u was leased again (attempt %u) after its ack of %.6f s", message,
                                o->attempts, (double)m->ack_ended.world / 1e9);
    }
}
