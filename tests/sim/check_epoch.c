/* check_epoch.c - P1: each start opens an epoch above all before it, so that no id and no receipt is made twice. */
#include "check.h"

void check_epoch(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_RESTARTED || h->n_restarts < 2)
        return;
    const struct restart *last = &h->restarts[h->n_restarts - 1];
    for (uint32_t i = 0; i + 1 < h->n_restarts; i++)
        if (h->restarts[i].epoch >= last->epoch)
            return history_fail(h, "P1: epoch %u is opened at %.6f s, and epoch %u was there before", last->epoch,
                                (double)last->at.world / 1e9, h->restarts[i].epoch);
}
