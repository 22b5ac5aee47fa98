/* check_session.c - P1: no two sessions have one handle. A packet of the older one that is still under way would act in
 * the newer, and what is asked there under the same number would get its answer. */
#include "check.h"

void check_session(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_SESSION)
        return;
    const struct seen_session *s = &h->sessions[e->index];
    for (uint32_t i = 0; i < e->index; i++)
        if (h->sessions[i].handle == s->handle && h->sessions[i].secret != s->secret)
            return history_fail(h, "P1: handle %#x is given to a second session at %.6f s", s->handle,
                                (double)e->now.world / 1e9);
}
