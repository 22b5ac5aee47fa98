/* load.h - one measurement: open sessions, make a queue, put load on it, count, clean up.
 *
 * A request goes through a cycle of steps in a slot of its connection; latency is the whole cycle's:
 *
 *     put       PUT
 *     lives     PUT -> TAKE -> ACK
 *     take      TAKE -> ACK            (drain: the same, without waiting)
 *     delivery  PUT on the first connection; TAKE -> ACK -> TAKE on the second, parked ahead of time
 *
 * What ends between the end of the warm-up and the end of the measurement counts. Then no new cycle starts, and those
 * under way are finished, so that every put that was sent is known to be acknowledged or failed.
 *
 * Failure: false with a sentence in `why` when nothing could be measured; requests that fail are counted by status.
 * Memory: some MiB per connection. Thread: the caller's, for the whole time. */
#ifndef LEAT_PERF_LOAD_H
#define LEAT_PERF_LOAD_H

#include "hist.h"
#include "options.h"
#include "tally.h"

enum { LOAD_STATUSES = 256 };

struct load_result {
    struct hist latency;         /* ns */
    double seconds, cpu_seconds; /* of the measurement; of this process */
    uint64_t requests, messages; /* finished in that time; delivery counts messages that arrived */
    uint64_t acknowledged;       /* messages whose put was answered well, from the first to the last */
    uint64_t missed;             /* open loop: requests that were due and never started */
    uint64_t retries;            /* of the session: requests that were sent again */
    uint64_t failed[LOAD_STATUSES];
    struct tally tally; /* of what was taken, where options.messages says how many there are (drain) */
};

bool load_run(const struct options *o, struct load_result *result, char *why, size_t why_size);

/* Requests that failed, all statuses together. */
uint64_t load_failed(const struct load_result *r);

#endif
