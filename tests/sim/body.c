/* body.c - eight bytes of token and guard, then a stream drawn from both. */
#include "body.h"

#include <string.h>

#include "byteorder.h"
#include "prng.h"

enum { GUARD = 0x5eed };

static uint64_t word(struct prng *p, uint32_t at, uint32_t token, unsigned part)
{
    return at == 0 ? (uint64_t)token << 32 | (uint64_t)GUARD << 8 | part : prng_next(p);
}

void body_fill(uint8_t *out, uint32_t size, uint32_t token, unsigned part)
{
    struct prng p = prng_seed(token, part);
    uint8_t last[8];
    uint32_t at = 0;
    for (; at + 8 <= size; at += 8)
        le64_put(out + at, word(&p, at, token, part));
    le64_put(last, word(&p, at, token, part));
    memcpy(out + at, last, size - at);
}

bool body_is(const uint8_t *bytes, uint32_t size, uint32_t token, unsigned part)
{
    struct prng p = prng_seed(token, part);
    uint8_t last[8];
    uint32_t at = 0;
    for (; at + 8 <= size; at += 8)
        if (le64_get(bytes + at) != word(&p, at, token, part))
            return false;
    le64_put(last, word(&p, at, token, part));
    return memcmp(bytes + at, last, size - at) == 0;
}

bool body_token(const uint8_t *bytes, uint32_t size, uint32_t *token)
{
    if (size < BODY_TOKEN)
        return false;
    uint64_t first = le64_get(bytes);
    *token = (uint32_t)(first >> 32);
    return (uint32_t)first >> 8 == GUARD;
}
