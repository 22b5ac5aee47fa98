/* pace.h - when requests of an open load should start, whether or not the broker keeps up.
 *
 * Request number k is due at start + k * period. A generator that is late takes the overdue ones one after the other,
 * each with the time it should have had: so a stall is counted for every request that it delayed, and not only for the
 * one that ran into it (Gil Tene's "coordinated omission").
 *
 * Units: nanoseconds. Failure: none. Thread: one. */
#ifndef LEAT_PERF_PACE_H
#define LEAT_PERF_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t start;
    double period;
    uint64_t taken;
};

static inline struct pace pace_start(uint64_t now, double per_second)
{
    return (struct pace){.start = now, .period = 1e9 / per_second};
}

/* When the next request is due. */
static inline uint64_t pace_next(const struct pace *p)
{
    return p->start + (uint64_t)((double)p->taken * p->period);
}

/* Takes the next request if it is due; *due is the time that it should have started at. */
static inline bool pace_take(struct pace *p, uint64_t now, uint64_t *due)
{
    *due = pace_next(p);
    if (*due > now)
        return false;
    p->taken++;
    return true;
}

/* Requests that were due before `now` and have not been taken. */
static inline uint64_t pace_missed(const struct pace *p, uint64_t now)
{
    uint64_t next = pace_next(p);
    return next >= now ? 0 : 1 + (uint64_t)((double)(now - 1 - next) / p->period);
}

#endif
