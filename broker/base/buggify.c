/* buggify.c - see buggify.h. */
#include "buggify.h"

#include <string.h>

#include "hash.h"
#include "prng.h"

unsigned buggify_percent;
static struct prng buggify_prng;
static uint64_t buggify_seed;

void buggify_on(uint64_t seed, unsigned percent)
{
    buggify_seed = seed;
    buggify_prng = prng_seed(seed, 0);
    buggify_percent = percent;
}

void buggify_off(void)
{
    buggify_percent = 0;
}

bool buggify_draw(const char *name)
{
    struct prng place = prng_seed(buggify_seed, hash_bytes(name, strlen(name)));
    if (!prng_chance(&place, 50) || !prng_chance(&buggify_prng, buggify_percent))
        return false;
    mark(buggified);
    return true;
}
