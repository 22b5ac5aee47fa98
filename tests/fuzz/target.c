/* target.c - see target.h. */
#include "target.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "must.h"

uint8_t *target_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    must(copy != NULL);
    if (size == 0)
        ASAN_POISON_MEMORY_REGION(copy, 1);
    else
        memcpy(copy, bytes, size);
    return copy;
}

void target_free(uint8_t *copy)
{
    free(copy);
}

uint8_t *target_unfold(const uint8_t *data, size_t size, uint32_t block, unsigned max, unsigned *count, uint8_t *sealed)
{
    uint8_t *blocks = calloc(max, block);
    must(blocks != NULL);
    unsigned n = 0;
    for (size_t at = 0; n < max && size - at >= 2; n++) {
        uint16_t head = le16_get(data + at);
        uint32_t bytes = head & (TARGET_SEALED - 1);
        at += 2;
        bytes = bytes > size - at ? (uint32_t)(size - at) : bytes;
        bytes = bytes > block ? block : bytes;
        memcpy(blocks + (size_t)n * block, data + at, bytes);
        sealed[n] = head >= TARGET_SEALED;
        at += bytes;
    }
    *count = n;
    uint8_t *exact = target_copy(blocks, (size_t)n * block);
    free(blocks);
    return exact;
}

size_t target_fold(uint8_t *out, const uint8_t *block, uint32_t size, int sealed)
{
    while (size > 0 && block[size - 1] == 0)
        size--;
    must(size < TARGET_SEALED);
    le16_put(out, (uint16_t)(size | (sealed ? TARGET_SEALED : 0)));
    memcpy(out + 2, block, size);
    return 2 + (size_t)size;
}

/* The libraries' own code is not instrumented: ask about their input before they see it. */
static void must_be_readable(const void *bytes, size_t size)
{
    must(size == 0 || __asan_region_is_poisoned((void *)(uintptr_t)bytes, size) == NULL);
}

uint32_t __real_crc32c(uint32_t seed, const void *bytes, size_t size);
uint32_t __wrap_crc32c(uint32_t seed, const void *bytes, size_t size);
uint32_t __wrap_crc32c(uint32_t seed, const void *bytes, size_t size)
{
    must_be_readable(bytes, size);
    return __real_crc32c(seed, bytes, size);
}

uint64_t __real_hash_bytes(const void *bytes, size_t size);
uint64_t __wrap_hash_bytes(const void *bytes, size_t size);
uint64_t __wrap_hash_bytes(const void *bytes, size_t size)
{
    must_be_readable(bytes, size);
    return __real_hash_bytes(bytes, size);
}
