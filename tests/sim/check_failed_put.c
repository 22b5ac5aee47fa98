/* check_failed_put.c - I3: a put that failed has no message, every other has at most one.
 *
 * A memory-class put may be delivered, lost in a crash, and done once more by the retry. */
#include "check.h"

static bool done_anew(const struct history *h, const struct seen_put *p, struct stamp now)
{
    return p->durability == CLASS_MEMORY && history_may_be_lost(h, p->invoked.world, now.world);
}

void check_failed_put(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED && e->kind != EVENT_SHOWN && e->kind != EVENT_PUT_DONE)
        return;
    uint32_t put = e->kind == EVENT_PUT_DONE ? e->index : e->put;
    if (put == HISTORY_NONE)
        return;
    const struct seen_put *p = &h->puts[put];
    if (p->shown == HISTORY_NONE || done_anew(h, p, e->now))
        return;
    if (p->outcome == OUTCOME_FAIL)
        return history_fail(h, "I3: put %u failed (%s) and yet it is delivered", put, status_name(p->status));
    if (p->shown_too != HISTORY_NONE)
        return history_fail(h, "I3: put %u is there twice, as messages %u and %u", put, p->shown, p->shown_too);
    if (p->outcome == OUTCOME_OK && p->message != p->shown)
        return history_fail(h, "I3: put %u is there twice, as messages %u and %u", put, p->message, p->shown);
}
