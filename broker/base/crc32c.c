/* crc32c.c - the door to ISA-L's checksum. ISA-L leaves the customary complement before and after to its caller. */
#include "crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

#include "must.h"

uint32_t crc32c(uint32_t seed, const void *bytes, size_t size)
{
    must(size <= INT_MAX);
    return ~crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)size, ~seed);
}
