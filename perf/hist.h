/* hist.h - a histogram of nanoseconds that forgets nothing but the last digits (the idea is Gil Tene's HdrHistogram).
 * Good for: latencies from one nanosecond to centuries in one flat array, percentiles up to the maximum, merging the
 * histograms of several threads. Not for: means or sums; a latency has a distribution, not an average.
 *
 * Units: values are nanoseconds (any u64 works), ranks are parts per million: 990000 is p99, 999900 is p99.99.
 * Exactness: values below 512 exactly; above, a percentile is at most 1/1024 (0.1 %) away from the true one. The
 *   smallest and the largest value are exact.
 * Memory: 224 KiB, flat, without pointers: lend it from wherever you like, also from memory shared between processes.
 *   All zero bytes are an empty histogram.
 * Failure: none.
 * Thread: one writer; merge when the writers are done. */
#ifndef LEAT_PERF_HIST_H
#define LEAT_PERF_HIST_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 9,
    HIST_SUBS = 1 << HIST_SUB_BITS,
    HIST_BUCKETS = (64 - HIST_SUB_BITS + 1) * HIST_SUBS,
};

enum { HIST_P50 = 500000, HIST_P99 = 990000, HIST_P999 = 999000, HIST_P9999 = 999900, HIST_MAX = 1000000 };

struct hist {
    uint64_t count;
    uint64_t min, max; /* meaningful where count > 0 */
    uint64_t bucket[HIST_BUCKETS];
};

void hist_clear(struct hist *h);

void hist_record(struct hist *h, uint64_t value);

/* The same value `times` times: also for weights (a gap recorded once per nanosecond that it lasted). */
void hist_record_many(struct hist *h, uint64_t value, uint64_t times);

/* Adds all that `from` has seen. */
void hist_merge(struct hist *h, const struct hist *from);

/* The smallest value that at least `ppm` of a million values do not exceed; HIST_MAX gives the largest. 0 when empty.
 */
uint64_t hist_at(const struct hist *h, uint32_t ppm);

#endif
