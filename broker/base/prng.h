/* prng.h - a small, fast, seedable generator (splitmix64) for simulation, jitter and tests. Never for secrets.
 * Same seed, same numbers, on any machine. Thread: a generator belongs to one thread. */
#ifndef LEAT_BASE_PRNG_H
#define LEAT_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

/* prng_seed: `stream` separates generators of one seed, so that a new draw in one does not shift another. */
struct prng prng_seed(uint64_t seed, uint64_t stream);
uint64_t prng_next(struct prng *p);
/* prng_below: 0 <= result < n; n at least 1. */
uint64_t prng_below(struct prng *p, uint64_t n);
/* prng_chance: true `percent` times in a hundred. */
bool prng_chance(struct prng *p, unsigned percent);

#endif
