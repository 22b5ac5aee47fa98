/* check_fence.c - I5: each lease of a message has a receipt of its own, above all before it, and is one take's. */
#include "check.h"

void check_fence(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED)
        return;
    const struct seen_lease *l = &h->leases[e->index];
    if (l->take != e->take)
        return history_fail(h, "I5: one lease of message %u is the answer to two takes", l->message);
    if (e->again)
        return;
    for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE; i = h->leases[i].older) {
        const struct seen_lease *o = &h->leases[i];
        if (o == l)
            continue;
        if (o->epoch == l->epoch && o->generation == l->generation)
            return history_fail(h, "I5: two leases of message %u share generation %u of epoch %u", l->message,
                                l->generation, l->epoch);
        if (o->got.world < l->asked.world && !history_later(l, o))
            return history_fail(h, "I5: a newer lease of message %u has an older receipt (generation %u after %u)",
                                l->message, l->generation, o->generation);
    }
}
