/* hist.c - log-linear buckets: every power of two is cut into 512 equal parts.
 *
 *     value      0 .. 511     512 .. 1023    1024 .. 2047    2048 .. 4095   ...
 *     width          1             1               2               4
 *     bucket     0 .. 511     512 .. 1023    1024 .. 1535    1536 .. 2047
 *
 * A value's bucket is its leading bit and the nine bits after it; recording is a count of leading zeros, a shift and an
 * increment. A percentile walks the buckets until it has passed enough values and answers with the middle of the last
 * one, but never with less than the smallest or more than the largest value seen. */
#include "hist.h"

#include <string.h>

#include "must.h"

static uint32_t bucket_of(uint64_t value)
{
    if (value < HIST_SUBS)
        return (uint32_t)value;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HIST_SUB_BITS;
    return shift * HIST_SUBS + (uint32_t)(value >> shift);
}

static uint64_t middle_of(uint32_t bucket)
{
    if (bucket < 2 * HIST_SUBS)
        return bucket;
    uint32_t shift = bucket / HIST_SUBS - 1;
    uint64_t low = (uint64_t)(HIST_SUBS + bucket % HIST_SUBS) << shift;
    return low + (1ull << shift) / 2;
}

void hist_clear(struct hist *h)
{
    memset(h, 0, sizeof *h);
}

void hist_record_many(struct hist *h, uint64_t value, uint64_t times)
{
    if (times == 0)
        return;
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (h->count == 0 || value > h->max)
        h->max = value;
    h->count += times;
    h->bucket[bucket_of(value)] += times;
}

void hist_record(struct hist *h, uint64_t value)
{
    hist_record_many(h, value, 1);
}

void hist_merge(struct hist *h, const struct hist *from)
{
    if (from->count == 0)
        return;
    if (h->count == 0 || from->min < h->min)
        h->min = from->min;
    if (h->count == 0 || from->max > h->max)
        h->max = from->max;
    h->count += from->count;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++)
        h->bucket[i] += from->bucket[i];
}

/* How many values lie at or below the percentile: rounded up, at least one, without a fraction that could round wrong.
 */
static uint64_t rank_of(uint64_t count, uint32_t ppm)
{
    uint64_t rank = count / HIST_MAX * ppm + (count % HIST_MAX * ppm + HIST_MAX - 1) / HIST_MAX;
    return rank > 0 ? rank : 1;
}

uint64_t hist_at(const struct hist *h, uint32_t ppm)
{
    must(ppm <= HIST_MAX);
    if (h->count == 0)
        return 0;
    uint64_t rank = rank_of(h->count, ppm), passed = 0;
    if (rank == h->count)
        return h->max;
    uint32_t i = bucket_of(h->min);
    for (; i < HIST_BUCKETS; i++) {
        passed += h->bucket[i];
        if (passed >= rank)
            break;
    }
    must(i < HIST_BUCKETS);
    uint64_t value = middle_of(i);
    if (value < h->min)
        return h->min;
    return value > h->max ? h->max : value;
}
