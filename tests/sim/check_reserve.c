/* check_reserve.c - P8: acks go on when the log is full, since they make room; the last segments are theirs. A file
 * system that has no room for the segments it was to hold is another matter. */
#include "check.h"

void check_reserve(struct history *h, const struct event *e)
{
    if (e->kind != EVENT_FINISH_DONE || h->files_refused)
        return;
    const struct seen_finish *f = &h->finishes[e->index];
    if (f->op == OP_ACK && f->status == LEAT_NO_SPACE)
        history_fail(h, "P8: an ack of message %u was refused for want of space", h->leases[f->lease].message);
}
