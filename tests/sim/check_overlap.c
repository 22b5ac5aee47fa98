/* check_overlap.c - I7, I8: nobody else gets a message before its lease has ended.
 *
 * A lease ends by its time, by a nack, or in a crash before its fact was durable. */
#include "check.h"

static void compare(struct history *h, const struct seen_lease *a, const struct seen_lease *b)
{
    const struct seen_lease *first = history_later(a, b) ? b : a;
    const struct seen_lease *next = first == a ? b : a;
    /* A lease that a crash took may have been given before the one that it superseded was extended. */
    uint64_t due = instant_add((struct instant){first->start}, first->length).ns;
    if (first->due < due || !history_may_be_lost(h, next->from, next->got.world))
        due = first->due;
    if (first->given_back || next->latest >= due)
        return;
    if (history_may_be_lost(h, first->from, first->got.world))
        return;
    history_fail(h, "I8: message %u was leased again (attempt %u) %.6f s before its lease ended", first->message,
                 next->attempts, (double)(due - next->latest) / 1e9);
}

void check_overlap(struct history *h, const struct event *e)
{
    uint32_t lease;
    if (e->kind == EVENT_DELIVERED && !e->again)
        lease = e->index;
    else if (e->kind == EVENT_FINISH_DONE && h->finishes[e->index].op == OP_EXTEND)
        lease = h->finishes[e->index].lease;
    else
        return;
    const struct seen_lease *l = &h->leases[lease];
    for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE && !h->failed; i = h->leases[i].older)
        if (i != lease)
            compare(h, l, &h->leases[i]);
}
