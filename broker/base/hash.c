/* hash.c - the door to xxHash. The key goes into both the seed and the input, before and after the bytes. */
#define XXH_INLINE_ALL
#include "hash.h"

#include <xxhash.h>

#include "byteorder.h"
#include "must.h"

uint64_t hash_bytes(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

/* Inlined for a size that the compiler knows: a receipt's is hashed at every ack. */
static inline uint64_t keyed(const uint8_t key[16], const void *bytes, size_t size, uint8_t *all)
{
    memcpy(all, key, 16);
    memcpy(all + 16, bytes, size);
    memcpy(all + 16 + size, key, 16);
    return XXH3_64bits_withSeed(all, size + 32, le64_get(key) ^ le64_get(key + 8));
}

uint64_t hash_keyed(const uint8_t key[16], const void *bytes, size_t size)
{
    if (size == 32) {
        uint8_t all[64];
        return keyed(key, bytes, 32, all);
    }
    uint8_t all[128];
    must(size <= sizeof all - 32);
    return keyed(key, bytes, size, all);
}
