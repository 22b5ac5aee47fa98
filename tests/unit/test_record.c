/* test_record.c - blocks and manifests: whole, or known for what they are not. */
#include "byteorder.h"
#include "crc32c.h"
#include "manifest.h"
#include "mark.h"
#include "record.h"
#include "test.h"

static const struct record example = {.cluster = 5,
                                      .incarnation = 2,
                                      .epoch = 3,
                                      .number = 70,
                                      .durable = 68,
                                      .previous = 9,
                                      .facts = 1,
                                      .payload_size = 5000};

static uint8_t *sealed(void)
{
    uint8_t *bytes = malloc(record_disk_size(example.payload_size));
    memset(bytes, 0xaa, record_disk_size(example.payload_size));
    record_seal(bytes, &example);
    return bytes;
}

TEST(record, a_sealed_block_opens_with_every_field)
{
    uint8_t *bytes = sealed();
    struct record r;
    assert_int_equal(record_disk_size(5000), 8192);
    assert_int_equal(record_open(&r, bytes, 8192, &example), RECORD_OK);
    assert_memory_equal(&r, &example, sizeof r);
    free(bytes);
}

TEST(record, a_flipped_bit_anywhere_is_noticed_and_so_is_a_cut)
{
    uint8_t *bytes = sealed();
    struct record r;
    for (uint32_t bit = 0; bit < 8192 * 8; bit += bit < 700 ? 1 : 61) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(record_open(&r, bytes, 8192, &example), RECORD_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(record_open(&r, bytes, 4096, &example), RECORD_CUT);
    assert_int_equal(record_disk_size(r.payload_size), 8192);
    memset(bytes + 4096, 0, 4096);
    assert_int_equal(record_open(&r, bytes, 8192, &example), RECORD_BROKEN);
    free(bytes);
}

TEST(record, recycled_misplaced_and_unchained_blocks_are_told_apart)
{
    uint8_t *bytes = sealed();
    struct record r, expected = example;
    expected.incarnation++;
    assert_int_equal(record_open(&r, bytes, 8192, &expected), RECORD_FOREIGN);
    expected = example;
    expected.number++;
    assert_int_equal(record_open(&r, bytes, 8192, &expected), RECORD_FOREIGN);
    expected = example;
    expected.cluster++;
    assert_int_equal(record_open(&r, bytes, 8192, &expected), RECORD_FOREIGN);
    expected = example;
    expected.previous++;
    assert_int_equal(record_open(&r, bytes, 8192, &expected), RECORD_UNCHAINED);
    memset(bytes, 0, 8192);
    assert_int_equal(record_open(&r, bytes, 8192, &example), RECORD_EMPTY);
    free(bytes);
}

TEST(manifest, a_whole_copy_that_says_what_cannot_be_is_not_what_a_cut_leaves)
{
    uint8_t *copies = calloc(2, MANIFEST_BYTES);
    struct manifest *m = calloc(1, sizeof *m);
    unsigned damaged = 0;
    manifest_encode(copies, m);
    le32_put(copies + 76, MANIFEST_SEGMENTS_MAX + 1);
    le32_put(copies + 12, 0);
    le32_put(copies + 12, crc32c(0, copies, MANIFEST_BYTES));
    assert_int_equal(manifest_decode(m, copies, &damaged), LEAT_CORRUPT);
    assert_int_equal(damaged, 2);
    free(m);
    free(copies);
}

TEST(manifest, the_newer_whole_copy_counts_and_none_is_refused)
{
    uint8_t *copies = calloc(2, MANIFEST_BYTES);
    struct manifest *m = calloc(1, sizeof *m), *back = calloc(1, sizeof *back);
    unsigned damaged;
    assert_int_equal(manifest_decode(back, copies, &damaged), LEAT_CORRUPT);
    assert_int_equal(damaged, 0);
    for (uint64_t sequence = 1; sequence <= 4; sequence++) {
        m->sequence = sequence;
        m->epoch = (uint32_t)sequence;
        m->segments = (uint32_t)sequence * 900;
        m->segment[m->segments - 1] = (struct manifest_segment){7, 8, sequence, sequence % 2};
        m->blob_size = 3;
        memcpy(m->blob, "key", 3);
        manifest_encode(copies + sequence % 2 * MANIFEST_BYTES, m);
        assert_int_equal(manifest_decode(back, copies, &damaged), LEAT_OK);
        assert_memory_equal(back, m, sizeof *m);
    }
    copies[40000] ^= 1; /* in copy 0, the newer one */
    assert_int_equal(manifest_decode(back, copies, &damaged), LEAT_OK);
    assert_int_equal(back->sequence, 3);
    assert_int_equal(damaged, 1);
    assert_true(mark_count("manifest_second_copy") > 0);
    copies[MANIFEST_BYTES + 20] ^= 1;
    assert_int_equal(manifest_decode(back, copies, &damaged), LEAT_CORRUPT);
    assert_int_equal(damaged, 2);
    free(copies);
    free(m);
    free(back);
}
