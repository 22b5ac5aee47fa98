/* check_recovered.c - S2: after a start, every message that was acknowledged and that nobody can have ended is in the
 * engine. */
#include <stdlib.h>

#include "check_broker.h"
#include "must.h"

static int compare(const void *a, const void *b)
{
    const struct lsn *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

void check_recovered(struct history *h, const struct engine *e)
{
    struct lsn *found = NULL;
    struct message_body body;
    uint32_t n = 0, room = 0;
    struct engine_walk walk = {0};
    while (engine_walk(e, &walk, &body)) {
        if (n == room) {
            room = room ? 2 * room : 1024;
            found = realloc(found, room * sizeof *found);
            must(found != NULL);
        }
        found[n++] = body.lsn;
    }
    if (n > 0)
        qsort(found, n, sizeof *found, compare);
    for (uint32_t i = 0; i < h->n_puts && !h->failed; i++)
        if (history_needs(h, i) &&
            (n == 0 || !bsearch(&h->messages[h->puts[i].message].id.lsn, found, n, sizeof *found, compare)))
            history_fail(h, "S2: recovery lost put %u (block %llu, acknowledged at %.6f s)", i,
                         (unsigned long long)lsn_block(h->messages[h->puts[i].message].id.lsn),
                         (double)h->puts[i].ended.world / 1e9);
    free(found);
}
