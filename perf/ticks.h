/* ticks.h - the cheapest look at the time, for measuring and for nothing else.
 * Good for: differences within one process that stays on its core. Not for: leases, logs or anything that two machines
 * compare (broker/os has the clock for those).
 *
 * Units: ticks of the processor's counter, constant in rate on every machine that DPDK supports; ticks_ns() and
 * ticks_of() translate, after a calibration of 20 ms against CLOCK_MONOTONIC at the first call of a process. Failure:
 * none. Thread: calibrate (any of the two) before a second thread starts; then any. */
#ifndef LEAT_PERF_TICKS_H
#define LEAT_PERF_TICKS_H

#include <stdint.h>
#include <time.h>

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

/* Nanoseconds per tick. */
double ticks_ns(void);

/* Ticks in so many seconds. */
uint64_t ticks_of(double seconds);

/* Waits for something that another core does: easy on its sibling, and short. */
static inline void ticks_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
