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
    uint8_t bytes[8];
    for (uint32_t at = 0; at < size; at += 8) {
        le64_put(bytes, word(&p, at, token, part));
        memcpy(out + at, bytes, size - at < 8 ? size - at : 8);
    }
}

bool body_is(const uint8_t *bytes, uint32_t size, uint32_t token, unsigned part)
{
    struct prng p = prng_seed(token, part);
    uint8_t expected[8];
    for (uint32_t at = 0; at < size; at += 8) {
        le64_put(expected, word(&p, at, token, part));
        if (memcmp(bytes + at, expected, size - at < 8 ? size - at : 8) != 0)
            return false;
    }
    return true;
}

bool body_token(const uint8_t *bytes, uint32_t size, uint32_t *token)
{
    if (size < BODY_TOKEN)
        return false;
    uint64_t first = le64_get(bytes);
    *token = (uint32_t)(first >> 32);
    return (uint32_t)first >> 8 == GUARD;
}
