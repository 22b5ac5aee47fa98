/* fuzz_fact.c - replay's view of a block: facts one behind the other, each seeded with its position.
 *
 * The input is the position of the first fact (8 bytes), then facts. Held against it: a fact that is accepted lies
 * inside the input, says the same after it was written again, and is not accepted at any other position. */
#include <stdlib.h>
#include <string.h>

#include "byteorder.h"
#include "crc32c.h"
#include "fact.h"
#include "must.h"
#include "target.h"

enum { POSITION = 8 };

static void check_payload(const struct fact *f, const uint8_t *bytes, uint32_t size)
{
    must(f->put.attrs == bytes + FACT_PUT_FIXED);
    must(f->put.attrs + f->put.attrs_size <= f->put.body);
    must(f->put.body + f->put.body_size <= bytes + size);
}

/* Everything but pointers is equal. */
static void check_equal(struct fact a, struct fact b)
{
    if (a.kind == FACT_PUT) {
        must(a.put.body_size == 0 || memcmp(a.put.body, b.put.body, a.put.body_size) == 0);
        must(a.put.attrs_size == 0 || memcmp(a.put.attrs, b.put.attrs, a.put.attrs_size) == 0);
        a.put.attrs = b.put.attrs = a.put.body = b.put.body = NULL;
    }
    must(memcmp(&a, &b, sizeof a) == 0);
}

/* The two checksums of the fact at `p`, as fact.c makes them; its size, or 0 where there is none to seal. */
static uint32_t seal(uint8_t *p, uint32_t available, uint64_t position)
{
    uint32_t size = available >= FACT_HEADER + 8 ? le32_get(p) : 0;
    if (size < FACT_HEADER + 8 || size % 8 != 0 || size > available)
        return 0;
    uint32_t body = 0;
    if (p[4] == FACT_PUT && size >= FACT_PUT_FIXED) {
        uint32_t bytes = le32_get(p + FACT_HEADER + 16);
        body = (uint32_t)round_up(bytes, 8);
        if (bytes > REQUEST_MAX || body > size - FACT_PUT_FIXED)
            return 0;
        le32_put(p + FACT_HEADER + 20, crc32c(0, p + size - body, bytes));
    }
    uint32_t seed = (uint32_t)(position * 0x9e3779b97f4a7c15ull >> 32);
    le32_put(p + 28, crc32c(crc32c(seed, p, 28), p + FACT_HEADER, size - body - FACT_HEADER));
    return size;
}

static uint32_t check_fact(const uint8_t *bytes, uint32_t available, struct lsn lsn)
{
    struct fact f, again, body_too;
    if (fact_decode(&f, bytes, available, lsn, false) != LEAT_OK)
        return 0;
    uint32_t size = fact_size(&f);
    must(size <= available && size % 8 == 0 && size > FACT_HEADER);
    must(strcmp(fact_name(f.kind), "unknown") != 0);
    if (f.kind == FACT_PUT)
        check_payload(&f, bytes, size);
    enum leat_status whole = fact_decode(&body_too, bytes, available, lsn, true);
    must(whole == LEAT_OK || (f.kind == FACT_PUT && whole == LEAT_CORRUPT));
    uint8_t *out = malloc(size);
    must(out != NULL);
    fact_encode(out, &f);
    must(fact_decode(&again, out, size, lsn, whole == LEAT_OK) == LEAT_OK);
    check_equal(f, again);
    struct lsn elsewhere = {lsn.n ^ 1};
    must(elsewhere.n == 0 || fact_decode(&again, out, size, elsewhere, false) == LEAT_CORRUPT);
    memcpy(out, bytes, size);
    seal(out, size, lsn.n);
    must(whole != LEAT_OK || memcmp(out, bytes, size) == 0); /* it had the right checksums */
    free(out);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < POSITION || le64_get(data) == 0 || size > UINT32_MAX)
        return 0;
    uint32_t left = (uint32_t)size - POSITION;
    struct lsn lsn = {le64_get(data)};
    uint8_t *copy = target_copy(data + POSITION, left);
    for (uint32_t at = 0, n; (n = check_fact(copy + at, left - at, lsn)) > 0; at += n)
        if (++lsn.n == 0)
            break;
    target_free(copy);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (size < POSITION || seed % 8 == 0)
        return size;
    uint64_t lsn = le64_get(data);
    uint32_t left = (uint32_t)size - POSITION;
    for (uint32_t at = 0, n; (n = seal(data + POSITION + at, left - at, lsn)) > 0; at += n)
        lsn++;
    return size;
}
