/* ticks.c - how long a tick is: counted for 20 ms of CLOCK_MONOTONIC, once. */
#include "ticks.h"

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double ticks_ns(void)
{
    static double ns;
    if (ns > 0)
        return ns;
    uint64_t from_ns = monotonic_ns(), from = ticks_now(), to_ns = from_ns;
    while (to_ns - from_ns < 20000000)
        to_ns = monotonic_ns();
    ns = (double)(to_ns - from_ns) / (double)(ticks_now() - from);
    return ns;
}

uint64_t ticks_of(double seconds)
{
    return (uint64_t)(seconds * 1e9 / ticks_ns());
}
