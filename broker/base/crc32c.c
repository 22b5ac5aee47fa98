/* crc32c.c - the door to the checksum: ISA-L for long inputs, the processor's own instruction for short ones.
 *
 * ISA-L folds 16 bytes at a time in several lanes; until those are set up and joined again, one lane of eight-byte
 * crc32 instructions (three cycles each) is done with 200 bytes, which is what a fact's header or a small body has.
 * Both leave the customary complement before and after to their caller. */
#include "crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "must.h"

enum { SHORT = 256 };

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_one_lane(uint32_t state, const uint8_t *p, size_t size)
{
    uint64_t wide = state, word;
    for (; size >= 8; size -= 8, p += 8) {
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    uint32_t crc = (uint32_t)wide;
    for (; size > 0; size--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static bool crc32c_is_short(size_t size)
{
    return size < SHORT && __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t crc32c_one_lane(uint32_t state, const uint8_t *p, size_t size)
{
    (void)p, (void)size;
    return state;
}

static bool crc32c_is_short(size_t size)
{
    (void)size;
    return false;
}
#endif

uint32_t crc32c(uint32_t seed, const void *bytes, size_t size)
{
    must(size <= INT_MAX);
    if (crc32c_is_short(size))
        return ~crc32c_one_lane(~seed, bytes, size);
    return ~crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)size, ~seed);
}
