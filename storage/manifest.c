/* manifest.c - see manifest.h.
 *
 *   0 magic   8 u32 format   12 u32 crc32c of all with this field 0   16 u64 sequence   24 u64 cluster
 *   32 u64 tail hash   40 u64 checkpoint block   48 u64 checkpoint bytes   56 u64 checkpoint hash
 *   64 u32 checkpoint area   68 u32 epoch   72 u32 blob size   76 u32 segments   80 u64 segment bytes
 *   88 blob, 1024 bytes   1112 segments, 16 bytes each (bit 63 of the first block: a keep segment)   then zeros
 *   65520 u64 proven   65528 u32 copied   65532 u32 0 */
#include "manifest.h"

#include <stdbool.h>
#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "mark.h"
#include "must.h"

static const uint8_t magic[8] = "leat man";

#define KEEP_BIT (1ull << 63)

enum { BLOB_AT = 88, SEGMENTS_AT = BLOB_AT + MANIFEST_BLOB_MAX, SEGMENT_BYTES = 16, PROVEN_AT = MANIFEST_BYTES - 16 };

_Static_assert(SEGMENTS_AT + MANIFEST_SEGMENTS_MAX * SEGMENT_BYTES <= PROVEN_AT, "the list fits");

static uint32_t checksum(const uint8_t *copy)
{
    static const uint8_t zero[4];
    uint32_t crc = crc32c(0, copy, 12);
    crc = crc32c(crc, zero, sizeof zero);
    return crc32c(crc, copy + 16, MANIFEST_BYTES - 16);
}

void manifest_encode(uint8_t *out, const struct manifest *m)
{
    must(m->segments <= MANIFEST_SEGMENTS_MAX);
    must(m->blob_size <= MANIFEST_BLOB_MAX);
    memset(out, 0, MANIFEST_BYTES);
    memcpy(out, magic, sizeof magic);
    le32_put(out + 8, MANIFEST_FORMAT);
    le64_put(out + 16, m->sequence);
    le64_put(out + 24, m->cluster);
    le64_put(out + 32, m->tail_hash);
    le64_put(out + 40, m->checkpoint_block);
    le64_put(out + 48, m->checkpoint_bytes);
    le64_put(out + 56, m->checkpoint_hash);
    le32_put(out + 64, m->checkpoint_area);
    le32_put(out + 68, m->epoch);
    le32_put(out + 72, m->blob_size);
    le32_put(out + 76, m->segments);
    le64_put(out + 80, m->segment_bytes);
    le64_put(out + PROVEN_AT, m->proven);
    le32_put(out + PROVEN_AT + 8, m->copied);
    memcpy(out + BLOB_AT, m->blob, m->blob_size);
    for (uint32_t i = 0; i < m->segments; i++) {
        uint8_t *p = out + SEGMENTS_AT + i * SEGMENT_BYTES;
        le32_put(p, m->segment[i].file);
        le32_put(p + 4, m->segment[i].incarnation);
        must(!m->segment[i].keep || m->segment[i].first > 0);
        le64_put(p + 8, m->segment[i].first | (m->segment[i].keep ? KEEP_BIT : 0));
    }
    le32_put(out + 12, checksum(out));
}

static bool whole(const uint8_t *copy)
{
    return memcmp(copy, magic, sizeof magic) == 0 && le32_get(copy + 12) == checksum(copy);
}

static bool empty(const uint8_t *copy)
{
    return copy[0] == 0 && memcmp(copy, copy + 1, MANIFEST_BYTES - 1) == 0;
}

static enum leat_status decode_copy(struct manifest *m, const uint8_t *in)
{
    if (le32_get(in + 8) != MANIFEST_FORMAT)
        return LEAT_TOO_NEW;
    memset(m, 0, sizeof *m);
    m->sequence = le64_get(in + 16);
    m->cluster = le64_get(in + 24);
    m->tail_hash = le64_get(in + 32);
    m->checkpoint_block = le64_get(in + 40);
    m->checkpoint_bytes = le64_get(in + 48);
    m->checkpoint_hash = le64_get(in + 56);
    m->checkpoint_area = le32_get(in + 64);
    m->epoch = le32_get(in + 68);
    m->blob_size = le32_get(in + 72);
    m->segments = le32_get(in + 76);
    m->segment_bytes = le64_get(in + 80);
    m->proven = le64_get(in + PROVEN_AT);
    m->copied = le32_get(in + PROVEN_AT + 8);
    if (m->blob_size > MANIFEST_BLOB_MAX || m->segments > MANIFEST_SEGMENTS_MAX || m->copied > 1)
        return LEAT_CORRUPT;
    memcpy(m->blob, in + BLOB_AT, m->blob_size);
    for (uint32_t i = 0; i < m->segments; i++) {
        const uint8_t *p = in + SEGMENTS_AT + i * SEGMENT_BYTES;
        uint64_t first = le64_get(p + 8);
        if (first == KEEP_BIT)
            return LEAT_CORRUPT;
        m->segment[i] = (struct manifest_segment){le32_get(p), le32_get(p + 4), first & ~KEEP_BIT, first >> 63};
    }
    return LEAT_OK;
}

enum leat_status manifest_decode(struct manifest *m, const uint8_t *copies, unsigned *damaged)
{
    const uint8_t *best = NULL;
    *damaged = 0;
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *copy = copies + (size_t)i * MANIFEST_BYTES;
        if (!whole(copy)) {
            *damaged += !empty(copy);
            continue;
        }
        if (!best || le64_get(copy + 16) > le64_get(best + 16))
            best = copy;
    }
    if (!best)
        return LEAT_CORRUPT;
    if (*damaged)
        mark(manifest_second_copy);
    enum leat_status status = decode_copy(m, best);
    if (status == LEAT_CORRUPT)
        *damaged = 2;
    return status;
}

bool manifest_unfinished(const uint8_t *copies)
{
    static const char sentence[] = "This backup has not ended.";
    return memcmp(copies, sentence, sizeof sentence - 1) == 0;
}
