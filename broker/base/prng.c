/* prng.c - splitmix64: a counter run through a mixer, so that every state is good and seeding is trivial. */
#include "prng.h"

#include "must.h"

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

struct prng prng_seed(uint64_t seed, uint64_t stream)
{
    return (struct prng){mix(mix(seed) + stream * 0xd1342543de82ef95ull)};
}

uint64_t prng_next(struct prng *p)
{
    return mix(p->state += 0x9e3779b97f4a7c15ull);
}

uint64_t prng_below(struct prng *p, uint64_t n)
{
    must(n > 0);
    return (uint64_t)((unsigned __int128)prng_next(p) * n >> 64);
}

bool prng_chance(struct prng *p, unsigned percent)
{
    return prng_below(p, 100) < percent;
}
