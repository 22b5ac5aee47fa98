/* fuzz_manifest.c - two copies of a manifest, of which any may be torn, old, or not one at all.
 *
 * The input is both copies written short (target_unfold). Held against it: an accepted manifest stays inside its own
 * limits, is the newest whole copy, and is the same after it was written again; two empty copies count as no damage. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "manifest.h"
#include "must.h"
#include "target.h"

static void seal(uint8_t *copy)
{
    memset(copy + 12, 0, 4);
    le32_put(copy + 12, crc32c(0, copy, MANIFEST_BYTES));
}

static void check_again(const struct manifest *m)
{
    static struct manifest again;
    uint8_t *copies = calloc(2, MANIFEST_BYTES);
    must(copies != NULL);
    unsigned damaged;
    manifest_encode(copies + MANIFEST_BYTES, m);
    must(manifest_decode(&again, copies, &damaged) == LEAT_OK);
    must(damaged == 0);
    must(memcmp(m, &again, sizeof again) == 0);
    free(copies);
}

/* The copy that it came from has the right checksum, and no copy that has one is newer. */
static void check_chosen(const struct manifest *m, const uint8_t *copies)
{
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *copy = target_copy(copies + (size_t)i * MANIFEST_BYTES, MANIFEST_BYTES);
        seal(copy);
        bool whole =
            memcmp(copy, copies + (size_t)i * MANIFEST_BYTES, MANIFEST_BYTES) == 0 && memcmp(copy, "leat man", 8) == 0;
        must(!whole || le64_get(copy + 16) <= m->sequence);
        found |= whole && le64_get(copy + 16) == m->sequence;
        target_free(copy);
    }
    must(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct manifest m;
    uint8_t wishes[2];
    unsigned count, damaged;
    uint8_t *copies = target_unfold(data, size, MANIFEST_BYTES, 2, &count, wishes);
    for (unsigned i = 0; i < count; i++)
        if (wishes[i])
            seal(copies + (size_t)i * MANIFEST_BYTES);
    if (count == 2) {
        memset(&m, 0xa5, sizeof m);
        enum leat_status status = manifest_decode(&m, copies, &damaged);
        must(damaged <= 2);
        if (status == LEAT_OK) {
            must(m.blob_size <= MANIFEST_BLOB_MAX && m.segments <= MANIFEST_SEGMENTS_MAX);
            must(damaged <= 1);
            check_chosen(&m, copies);
            check_again(&m);
        } else {
            must(status == LEAT_CORRUPT || status == LEAT_TOO_NEW);
        }
    }
    target_free(copies);
    return 0;
}
