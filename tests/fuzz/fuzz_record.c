/* fuzz_record.c - a segment as a disk may give it back: block after block, each judged by record_open().
 *
 * The input is a segment written short (target_unfold). Held against it: a block that is accepted lies inside the
 * segment, matches both checksums, chains to the one before, opens from exactly its own bytes and not from one less
 * page, and is the same block after it was sealed again. */
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "must.h"
#include "record.h"
#include "target.h"

enum { PAGES = 16 };

/* The checksums that the block's own lengths ask for, where they fit. */
static void seal(uint8_t *page, uint32_t available)
{
    uint32_t payload = le32_get(page + 56);
    if (payload <= RECORD_MAX - RECORD_HEADER && record_disk_size(payload) <= available)
        le32_put(page + 60, crc32c(0, page + RECORD_HEADER, record_disk_size(payload) - RECORD_HEADER));
    le32_put(page + 76, crc32c(0, page, 76));
}

static bool same(const struct record *a, const struct record *b)
{
    return a->cluster == b->cluster && a->incarnation == b->incarnation && a->epoch == b->epoch &&
           a->number == b->number && a->durable == b->durable && a->previous == b->previous && a->facts == b->facts &&
           a->payload_size == b->payload_size;
}

static void check_block(const uint8_t *bytes, const struct record *r, const struct record *expected)
{
    uint32_t size = record_disk_size(r->payload_size);
    uint8_t *exact = target_copy(bytes, size);
    struct record again;
    must(le32_get(bytes + 76) == crc32c(0, bytes, 76));
    must(le32_get(bytes + 60) == crc32c(0, bytes + RECORD_HEADER, size - RECORD_HEADER));
    must(record_open(&again, exact, size, expected) == RECORD_OK);
    must(same(r, &again));
    must(record_open(&again, exact, size - DISK_BLOCK, expected) == (size == DISK_BLOCK ? RECORD_BROKEN : RECORD_CUT));
    record_seal(exact, r);
    must(record_open(&again, exact, size, expected) == RECORD_OK);
    must(same(r, &again));
    must(memcmp(exact + RECORD_HEADER, bytes + RECORD_HEADER, r->payload_size) == 0);
    target_free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned pages;
    uint8_t wishes[PAGES];
    uint8_t *segment = target_unfold(data, size, DISK_BLOCK, PAGES, &pages, wishes);
    uint32_t bytes = pages * DISK_BLOCK;
    for (unsigned i = pages; i-- > 0;)
        if (wishes[i])
            seal(segment + i * DISK_BLOCK, bytes - i * DISK_BLOCK);
    struct record expected = {.cluster = 7, .incarnation = 3, .number = 1}, r;
    for (uint32_t at = 0; at < bytes;) {
        enum record_verdict verdict = record_open(&r, segment + at, bytes - at, &expected);
        if (verdict == RECORD_UNCHAINED) {
            must(expected.previous != 0 && r.previous != expected.previous);
            struct record loose = expected;
            loose.previous = 0;
            must(record_open(&r, segment + at, bytes - at, &loose) == RECORD_OK);
        }
        if (verdict != RECORD_OK)
            break;
        must(r.number == expected.number && record_disk_size(r.payload_size) <= bytes - at);
        check_block(segment + at, &r, &expected);
        expected.previous = record_hash(segment + at);
        must(expected.previous != 0);
        expected.number++;
        at += record_disk_size(r.payload_size);
    }
    target_free(segment);
    return 0;
}
