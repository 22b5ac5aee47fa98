/* units.h - kinds of number that the compiler refuses to mix.
 *
 * instant: nanoseconds of log time (see DESIGN.md, Epochs); it never goes back within a data directory.
 * duration: nanoseconds.
 * lsn: a position in the log: block number << 16 | index of the fact in its block. Block numbers start at 1, so an lsn
 *   of 0 means "none".
 *
 * Thread: any (plain values). */
#ifndef LEAT_BASE_UNITS_H
#define LEAT_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

struct instant {
    uint64_t ns;
};
struct duration {
    uint64_t ns;
};
struct lsn {
    uint64_t n;
};

#define INSTANT_NEVER ((struct instant){UINT64_MAX})
#define INSTANT_ZERO ((struct instant){0})
#define LSN_NONE ((struct lsn){0})

static inline struct duration duration_us(uint64_t us)
{
    return (struct duration){us * 1000};
}
static inline struct duration duration_ms(uint64_t ms)
{
    return (struct duration){ms * 1000000};
}
static inline struct duration duration_s(uint64_t s)
{
    return (struct duration){s * 1000000000};
}

/* Saturates at INSTANT_NEVER: a lease of "for ever" must not wrap into the past. */
static inline struct instant instant_add(struct instant i, struct duration d)
{
    uint64_t sum = i.ns + d.ns;
    return (struct instant){sum < i.ns ? UINT64_MAX : sum};
}
/* How long from `from` to `to`; zero where `to` is not later. */
static inline struct duration instant_since(struct instant to, struct instant from)
{
    return (struct duration){to.ns > from.ns ? to.ns - from.ns : 0};
}
static inline bool instant_before(struct instant a, struct instant b)
{
    return a.ns < b.ns;
}
static inline struct instant instant_min(struct instant a, struct instant b)
{
    return a.ns < b.ns ? a : b;
}
static inline struct instant instant_max(struct instant a, struct instant b)
{
    return a.ns > b.ns ? a : b;
}

static inline struct lsn lsn_make(uint64_t block, uint32_t index)
{
    return (struct lsn){block << 16 | (index & 0xffff)};
}
static inline uint64_t lsn_block(struct lsn l)
{
    return l.n >> 16;
}
static inline uint32_t lsn_index(struct lsn l)
{
    return (uint32_t)(l.n & 0xffff);
}

#endif
