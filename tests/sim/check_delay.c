/* check_delay.c - I12: a delayed message, put so or given back so, is not leased before its time. */
#include "check.h"

static void after_put(struct history *h, const struct seen_lease *l)
{
    uint32_t put = h->messages[l->message].body;
    if (put == HISTORY_NONE)
        return;
    const struct seen_put *p = &h->puts[put];
    uint64_t due = instant_add((struct instant){history_floor(h, p->invoked)}, p->delay).ns;
    if (p->delay.ns > 0 && l->latest < due)
        history_fail(h, "I12: put %u was delivered %.6f s before its delay had passed", put,
                     (double)(due - l->latest) / 1e9);
}

static void after_nack(struct history *h, const struct seen_lease *back, const struct seen_lease *next)
{
    if (!back->back || back->queue != next->queue || !history_later(next, back) || next->latest >= back->back_until)
        return;
    if (next->got.world < back->back_invoked)
        return; /* a crash took that lease away, or check_stale has its word */
    if (next->got.world < back->back_ended && history_may_be_lost(h, next->from, next->got.world))
        return; /* the same, and the nack was under way meanwhile */
    if (!history_is_disk(h, back->message) && history_may_be_lost(h, back->back_invoked, back->back_ended))
        return;
    history_fail(h, "I12: message %u was given back with a delay and leased %.6f s too early", back->message,
                 (double)(back->back_until - next->latest) / 1e9);
}

void check_delay(struct history *h, const struct event *e)
{
    if (e->kind == EVENT_DELIVERED && !e->again) {
        const struct seen_lease *l = &h->leases[e->index];
        after_put(h, l);
        for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE && !h->failed; i = h->leases[i].older)
            after_nack(h, &h->leases[i], l);
    }
    if (e->kind == EVENT_FINISH_DONE && h->finishes[e->index].op == OP_NACK) {
        const struct seen_lease *l = &h->leases[h->finishes[e->index].lease];
        for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE && !h->failed; i = h->leases[i].older)
            after_nack(h, l, &h->leases[i]);
    }
}
