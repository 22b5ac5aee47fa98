/* test_base.c - checksums, texts and numbers of the ground floor. */
#include "base64url.h"
#include "buggify.h"
#include "crc32c.h"
#include "mark.h"
#include "prng.h"
#include "status.h"
#include "test.h"
#include "units.h"

TEST(crc32c, matches_the_published_check_value_whole_and_in_parts)
{
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

static uint32_t crc_bit_by_bit(const uint8_t *p, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (; size > 0; size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

TEST(crc32c, every_length_and_alignment_gives_what_the_polynomial_says)
{
    uint8_t bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + i / 7);
    for (size_t at = 0; at < 9; at++)
        for (size_t size = 0; at + size <= sizeof bytes; size++) {
            uint32_t whole = crc_bit_by_bit(bytes + at, size);
            assert_int_equal(crc32c(0, bytes + at, size), whole);
            assert_int_equal(crc32c(crc32c(0, bytes + at, size / 3), bytes + at + size / 3, size - size / 3), whole);
        }
}

TEST(base64url, comes_back_for_every_size_and_refuses_loose_bits)
{
    uint8_t in[40], out[64];
    char text[64];
    for (size_t size = 0; size <= sizeof in; size++) {
        for (size_t i = 0; i < size; i++)
            in[i] = (uint8_t)(i * 37 + size);
        base64url_encode(text, in, size);
        assert_int_equal(base64url_decode(out, text, strlen(text)), (long)size);
        assert_memory_equal(in, out, size);
    }
    assert_int_equal(base64url_decode(out, "AB", 2), -1);
    assert_int_equal(base64url_decode(out, "A", 1), -1);
    assert_int_equal(base64url_decode(out, "A+AA", 4), -1);
}

TEST(units, a_lease_for_ever_does_not_wrap_into_the_past)
{
    assert_true(instant_add((struct instant){5}, (struct duration){UINT64_MAX}).ns == UINT64_MAX);
    assert_true(instant_since((struct instant){3}, (struct instant){5}).ns == 0);
    assert_int_equal(lsn_block(lsn_make(77, 65535)), 77);
    assert_int_equal(lsn_index(lsn_make(77, 65535)), 65535);
}

TEST(status, has_a_name_and_a_text_for_every_code_and_for_unknown_ones)
{
    assert_string_equal(status_name(LEAT_STALE_RECEIPT), "stale_receipt");
    assert_true(status_retry(LEAT_OVERLOADED));
    assert_false(status_retry(LEAT_NO_QUEUE));
    assert_string_equal(status_name(255), "unknown_status");
}

TEST(prng, repeats_from_a_seed_and_stays_below_its_bound)
{
    struct prng a = prng_seed(7, 1), b = prng_seed(7, 1), c = prng_seed(7, 2);
    assert_true(prng_next(&a) == prng_next(&b));
    assert_true(prng_next(&a) != prng_next(&c));
    for (int i = 0; i < 1000; i++)
        assert_true(prng_below(&a, 3) < 3);
}

TEST(mark, counts_each_pass)
{
    mark_reset();
    for (int i = 0; i < 3; i++)
        mark(test_mark);
    assert_int_equal(mark_count("test_mark"), 3);
    assert_int_equal(mark_count("nobody"), 0);
}

TEST(buggify, is_off_until_told_and_then_some_places_take_their_branch_by_the_seed)
{
    unsigned places = 0;
    assert_false(buggify(some_place));
    for (uint64_t seed = 0; seed < 40; seed++) {
        unsigned taken[2] = {0};
        for (unsigned run = 0; run < 2; run++) {
            buggify_on(seed, 50);
            for (unsigned i = 0; i < 100; i++)
                taken[run] += buggify(some_place);
        }
        assert_int_equal(taken[0], taken[1]);
        assert_true(taken[0] == 0 || (taken[0] > 20 && taken[0] < 80));
        places += taken[0] > 0;
    }
    assert_in_range(places, 8, 32);
    buggify_off();
    assert_false(buggify(some_place));
}
