/* check_attempts.c - I10: every lease counts one attempt; a restart forgets only those of leases that were not durable.
 */
#include "check.h"

static void compare(struct history *h, const struct seen_lease *a, const struct seen_lease *b)
{
    const struct seen_lease *first = history_later(a, b) ? b : a;
    const struct seen_lease *next = first == a ? b : a;
    if (first->queue != next->queue || history_may_be_lost(h, first->from, first->got.world))
        return;
    if (next->attempts <= first->attempts)
        return history_fail(h, "I10: message %u has attempt %u after attempt %u", first->message, next->attempts,
                            first->attempts);
    if (next->epoch == first->epoch && next->attempts - first->attempts > next->generation - first->generation)
        history_fail(h, "I10: message %u has attempts %u and %u but %u leases between", first->message, first->attempts,
                     next->attempts, next->generation - first->generation);
}

void check_attempts(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED || e->again)
        return;
    const struct seen_lease *l = &h->leases[e->index];
    if (l->attempts == 0)
        return history_fail(h, "I10: message %u was delivered and counts no attempt", l->message);
    for (uint32_t i = h->messages[l->message].lease; i != HISTORY_NONE && !h->failed; i = h->leases[i].older)
        if (i != e->index)
            compare(h, l, &h->leases[i]);
}
