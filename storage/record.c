/* record.c - see record.h. The header's checksum is believed before any length in it is, and the body's before any
 * fact. */
#include "record.h"

#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "hash.h"
#include "must.h"

static const uint8_t magic[8] = "leat blk";

uint32_t record_disk_size(uint32_t payload_size)
{
    return (uint32_t)round_up(RECORD_HEADER + (uint64_t)payload_size, DISK_BLOCK);
}

/*   0 magic   8 u32 format   12 u32 incarnation   16 u64 cluster   24 u64 number   32 u64 durable   40 u64 previous
 *  48 u32 epoch   52 u32 facts   56 u32 payload size   60 u32 body crc   64 u64 0   72 u32 0   76 u32 header crc */
void record_seal(uint8_t *bytes, const struct record *r)
{
    uint32_t size = record_disk_size(r->payload_size);
    must(size <= RECORD_MAX);
    must(r->number > 0);
    memset(bytes, 0, RECORD_HEADER);
    memset(bytes + RECORD_HEADER + r->payload_size, 0, size - RECORD_HEADER - r->payload_size);
    memcpy(bytes, magic, sizeof magic);
    le32_put(bytes + 8, RECORD_FORMAT);
    le32_put(bytes + 12, r->incarnation);
    le64_put(bytes + 16, r->cluster);
    le64_put(bytes + 24, r->number);
    le64_put(bytes + 32, r->durable);
    le64_put(bytes + 40, r->previous);
    le32_put(bytes + 48, r->epoch);
    le32_put(bytes + 52, r->facts);
    le32_put(bytes + 56, r->payload_size);
    le32_put(bytes + 60, crc32c(0, bytes + RECORD_HEADER, size - RECORD_HEADER));
    le32_put(bytes + 76, crc32c(0, bytes, 76));
}

uint64_t record_hash(const uint8_t *bytes)
{
    uint64_t hash = hash_bytes(bytes, RECORD_HEADER);
    return hash ? hash : 1;
}

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static enum record_verdict open_header(struct record *r, const uint8_t *bytes, uint64_t available)
{
    if (available < DISK_BLOCK)
        return RECORD_BROKEN;
    if (all_zero(bytes, DISK_BLOCK))
        return RECORD_EMPTY;
    bool sealed = le32_get(bytes + 76) == crc32c(0, bytes, 76);
#if LEAT_BUG == 7
    sealed = true;
#endif
    if (memcmp(bytes, magic, sizeof magic) != 0 || !sealed)
        return RECORD_BROKEN;
    if (le32_get(bytes + 8) != RECORD_FORMAT)
        return RECORD_TOO_NEW;
    *r = (struct record){.incarnation = le32_get(bytes + 12),
                         .cluster = le64_get(bytes + 16),
                         .number = le64_get(bytes + 24),
                         .durable = le64_get(bytes + 32),
                         .previous = le64_get(bytes + 40),
                         .epoch = le32_get(bytes + 48),
                         .facts = le32_get(bytes + 52),
                         .payload_size = le32_get(bytes + 56)};
    return RECORD_OK;
}

enum record_verdict record_open(struct record *r, const uint8_t *bytes, uint64_t available,
                                const struct record *expected)
{
    enum record_verdict verdict = open_header(r, bytes, available);
    if (verdict != RECORD_OK)
        return verdict;
    bool same_life = r->incarnation == expected->incarnation && r->number == expected->number;
#if LEAT_BUG == 6
    if (r->incarnation != expected->incarnation && r->payload_size > 0)
        return RECORD_OK; /* what stands there is believed */
#endif
    if (r->cluster != expected->cluster || !same_life)
        return RECORD_FOREIGN;
    if (r->payload_size > RECORD_MAX - RECORD_HEADER)
        return RECORD_BROKEN;
    if (record_disk_size(r->payload_size) > available)
        return RECORD_CUT;
    uint32_t body = record_disk_size(r->payload_size) - RECORD_HEADER;
    if (le32_get(bytes + 60) != crc32c(0, bytes + RECORD_HEADER, body))
        return RECORD_BROKEN;
    if (expected->previous != 0 && r->previous != expected->previous)
        return RECORD_UNCHAINED;
    return RECORD_OK;
}
