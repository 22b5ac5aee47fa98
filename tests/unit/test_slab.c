/* test_slab.c - items by index, and images of a slab that goes on changing. */
#include "mark.h"
#include "prng.h"
#include "slab.h"
#include "test.h"

#include <sys/mman.h>

TEST(slab, gives_back_what_was_freed_last_and_says_so_before)
{
    struct slab s;
    assert_int_equal(slab_open(&s, 3, 8), LEAT_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(slab_next(&s), i);
        assert_int_equal(slab_take(&s), i);
    }
    assert_true(slab_take(&s) == SLAB_NONE);
    slab_give(&s, 1);
    slab_give(&s, 0);
    assert_int_equal(slab_next(&s), 0);
    assert_int_equal(slab_take(&s), 0);
    assert_int_equal(slab_take(&s), 1);
    assert_true(slab_next(&s) == SLAB_NONE);
    slab_close(&s);
}

enum { ITEM_BYTES = 408, ITEMS = 3000 }; /* items that lie across pages */

static void change(struct slab *s, bool *owned, struct prng *prng)
{
    uint32_t index = (uint32_t)prng_below(prng, ITEMS);
    unsigned what = (unsigned)prng_below(prng, 8);
    if (what == 0 && owned[index]) {
        owned[index] = false;
        slab_give(s, index);
        return;
    }
    if (what == 1 && (index = slab_take(s)) == SLAB_NONE)
        return;
    if (what == 1)
        owned[index] = true;
    if (owned[index])
        memset(slab_write(s, index), (int)prng_below(prng, 256), ITEM_BYTES);
}

TEST(slab, an_image_is_the_slab_at_the_cut_whatever_happens_while_it_is_read)
{
    static uint8_t at_cut[ITEMS * ITEM_BYTES], image[ITEMS * ITEM_BYTES + 1];
    static bool owned[ITEMS];
    struct slab s;
    struct prng prng = prng_seed(1, 0);
    assert_int_equal(slab_open(&s, ITEMS, ITEM_BYTES), LEAT_OK);
    assert_int_equal(slab_image_open(&s), LEAT_OK);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 200; i++)
            change(&s, owned, &prng);
        uint64_t size = (uint64_t)s.used * ITEM_BYTES, read = 0;
        memcpy(at_cut, s.items, size);
        slab_image_begin(&s);
        assert_int_equal(s.image.bytes, size);
        assert_int_equal(s.image.head.used, s.used);
        uint32_t taken = s.taken, piece = 1 + (uint32_t)prng_below(&prng, round % 2 ? 100000 : 9000);
        bool given_up = round % 10 == 9;
        for (uint32_t n; !(given_up && read > size / 2) && (n = slab_image_read(&s, image + read, piece)) > 0;
             read += n)
            for (int i = 0; i < 20; i++)
                change(&s, owned, &prng);
        assert_int_equal(s.image.head.taken, taken);
        slab_image_end(&s);
        if (!given_up)
            assert_int_equal(read, size);
        assert_memory_equal(image, at_cut, read);
    }
    assert_true(mark_count("slab_page_put_aside") > 0);
    slab_close(&s);
}

TEST(slab, what_was_put_aside_is_given_back_when_the_image_ends)
{
    struct slab s;
    assert_int_equal(slab_open(&s, 1000, SLAB_PAGE), LEAT_OK);
    assert_int_equal(slab_image_open(&s), LEAT_OK);
    for (uint32_t i = 0; i < 1000; i++)
        memset(slab_write(&s, slab_take(&s)), 7, SLAB_PAGE);
    for (int read_all = 0; read_all <= 1; read_all++) {
        static uint8_t out[1000 * SLAB_PAGE];
        slab_image_begin(&s);
        for (uint32_t i = 0; i < 1000; i++)
            memset(slab_write(&s, i), 8, SLAB_PAGE);
        if (read_all)
            assert_int_equal(slab_image_read(&s, out, sizeof out), sizeof out);
        slab_image_end(&s);
        unsigned char resident[1000];
        assert_int_equal(mincore(s.image.aside, sizeof out, resident), 0);
        for (uint32_t i = 0; i < 1000; i++)
            assert_int_equal(resident[i] & 1, 0);
    }
    slab_close(&s);
}

TEST(slab, a_head_that_cannot_be_is_refused)
{
    static const struct slab_head wrong[] = {
        {11, 5, 0}, {10, 11, 0}, {10, 5, 10}, {10, 5, SLAB_NONE}, {0, 0, 0}, {10, 9, SLAB_NONE},
    };
    struct slab s;
    assert_int_equal(slab_open(&s, 10, 8), LEAT_OK);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(slab_load_head(&s, &wrong[i]));
    assert_true(slab_load_head(&s, &(struct slab_head){10, 10, SLAB_NONE}));
    slab_clear(&s);
    assert_true(slab_load_head(&s, &(struct slab_head){10, 5, 9}));
    slab_close(&s);
}
