/* check_log_time.c - P6: in one life of the machine, log time goes on exactly as the boot clock does, whatever the wall
 * clock did; after another boot it goes on from no less than what was durable. A crash may have taken away a start of
 * which nothing is proven. */
#include <string.h>

#include "check_broker.h"

void check_log_time(struct history *h, const struct seen_start *before, const struct seen_start *now)
{
    bool same = memcmp(before->boot_id, now->boot_id, sizeof now->boot_id) == 0;
    uint64_t expected = before->log + (same ? now->boot - before->boot : 0);
    if (h->proven > before->world && (same ? now->log != expected : now->log < expected))
        history_fail(h, "P6: log time goes on at %.6f s instead of %.6f s after a restart", (double)now->log / 1e9,
                     (double)expected / 1e9);
}
