/* clock.h - the time that passes for a command.
 *
 * Units: nanoseconds since some moment before the program began. Memory: none. Failure: none. Thread: any. */
#ifndef LEAT_CLI_CLOCK_H
#define LEAT_CLI_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif
