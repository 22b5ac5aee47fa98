/* check_phantom.c - I2, I4: a body that is shown is one that was put, and an id stands for one body in one queue (or
 * its dead-letter queues) for ever. */
#include "check.h"

void check_phantom(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_DELIVERED && e->kind != EVENT_SHOWN)
        return;
    uint32_t message = e->kind == EVENT_SHOWN ? e->index : h->leases[e->index].message;
    if (e->put == HISTORY_NONE)
        return history_fail(h, "I2: message %u has a body that nobody put", message);
    if (h->messages[message].body != e->put)
        return history_fail(h, "I4: message %u had the body of put %u and now that of put %u", message,
                            h->messages[message].body, e->put);
    if (!history_leads_to(h, h->puts[e->put].queue, e->queue))
        return history_fail(h, "I4: put %u went to queue %u and is found in queue %u", e->put, h->puts[e->put].queue,
                            e->queue);
}
