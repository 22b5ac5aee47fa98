/* check_lost.c - I1: what was acknowledged is found in the end: acked by somebody, dead, or gone with its queue. */
#include "check.h"

void check_lost(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_END)
        return;
    for (uint32_t i = 0; i < h->n_puts; i++)
        if (history_needs(h, i))
            return history_fail(h, "I1: put %u (message %u, acknowledged at %.6f s) was lost", i, h->puts[i].message,
                                (double)h->puts[i].ended.world / 1e9);
}
