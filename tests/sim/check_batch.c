/* check_batch.c - I15: the id that an entry of a batch was answered with is the id under which its body is delivered.
 */
#include "check.h"

void check_batch(struct history *h, const struct event *e)
{
    if (e->kind == EVENT_PUT_DONE && h->puts[e->index].outcome == OUTCOME_OK) {
        const struct seen_message *m = &h->messages[h->puts[e->index].message];
        if (m->put != e->index)
            history_fail(h, "I15: puts %u and %u were answered with one id", m->put, e->index);
        else if (m->body != HISTORY_NONE && m->body != e->index)
            history_fail(h, "I15: put %u was answered with the id of put %u", e->index, m->body);
    }
    if (e->kind != EVENT_DELIVERED && e->kind != EVENT_SHOWN)
        return;
    const struct seen_message *m = &h->messages[e->kind == EVENT_SHOWN ? e->index : h->leases[e->index].message];
    if (m->put != HISTORY_NONE && e->put != HISTORY_NONE && m->put != e->put)
        history_fail(h, "I15: put %u was answered with the id of put %u", m->put, e->put);
}
