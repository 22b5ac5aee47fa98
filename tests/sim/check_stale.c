/* check_stale.c - I6: a receipt that another lease has superseded, or that was given back, does nothing and says so.
 *
 * A lease that a crash took away supersedes nothing. */
#include "check.h"

void check_stale(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_FINISH_DONE || h->finishes[e->index].outcome != OUTCOME_OK)
        return;
    const struct seen_finish *f = &h->finishes[e->index];
    const struct seen_lease *l = &h->leases[f->lease];
    for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE; i = h->leases[i].older) {
        const struct seen_lease *o = &h->leases[i];
        if (history_later(o, l) && o->got.world < f->invoked.world && !history_may_be_lost(h, o->from, o->got.world))
            return history_fail(h, "I6: a stale receipt of message %u (attempt %u of %u) was honoured", l->message,
                                l->attempts, o->attempts);
    }
    bool kept = history_is_disk(h, l->message) || !history_may_be_lost(h, l->back_invoked, l->back_ended);
    if (l->back && l->back_ended < f->invoked.world && kept)
        history_fail(h, "I6: a receipt of message %u was honoured after it had been given back", l->message);
}
