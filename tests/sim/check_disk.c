/* check_disk.c - D4: what lives long holds no more than its share of the disk.
 *
 * When the cleaner has looked and found nothing, old segments are no more than twice what lives in them and a few; or
 * no two neighbours fit into one, so that two of them hold more than a segment, but for the padding of directory and
 * bodies, a page each. */
#include "check_broker.h"
#include "keep.h"

void check_disk(struct history *h, const struct journal_config *config, const struct journal_counters *c)
{
    uint64_t needed = c->settled_bytes + c->settled_live * DISK_BLOCK / KEEP_ENTRIES;
    uint64_t bound = 2 * needed / (config->segment_bytes - 2 * DISK_BLOCK) + 1 + config->clean_above;
    if (c->settled > bound)
        history_fail(
            h, "D4: %llu messages of %llu bytes hold %llu old segments of %llu bytes, at most %llu are explained",
            (unsigned long long)c->settled_live, (unsigned long long)c->settled_bytes, (unsigned long long)c->settled,
            (unsigned long long)config->segment_bytes, (unsigned long long)bound);
}
