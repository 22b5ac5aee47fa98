/* test_ready.c - order of delivery, against a plain sorted array. */
#include "mark.h"
#include "prng.h"
#include "ready.h"
#include "test.h"

TEST(ready, entries_come_out_in_order_with_every_field_and_free_their_chunks)
{
    struct slab chunks;
    struct ready r;
    assert_int_equal(slab_open(&chunks, 8, READY_CHUNK_BYTES), LEAT_OK);
    ready_init(&r);
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 200; i++) {
            struct ready_entry e = {.lsn = lsn_make((1ull << 44) - 1 - i, i),
                                    .where = {(1u << 19) - 1 - i, (1u << 18) - 1 - i},
                                    .sent = {(uint64_t)(i % 7) * 3000000000},
                                    .durability = (uint8_t)(i % 3)};
            assert_true(ready_has_room(&r, &chunks, e.sent));
            ready_push(&r, &chunks, &e);
        }
        for (uint32_t i = 0; i < 200; i++) {
            struct ready_entry e;
            assert_true(ready_first(&r, &chunks, &e));
            assert_true(e.lsn.n == lsn_make((1ull << 44) - 1 - i, i).n);
            assert_int_equal(e.where.place8, (1u << 19) - 1 - i);
            assert_int_equal(e.where.size8, (1u << 18) - 1 - i);
            assert_true(e.sent.ns == (uint64_t)(i % 7) * 3000000000);
            assert_int_equal(e.durability, i % 3);
            ready_pop(&r, &chunks);
        }
        assert_int_equal(chunks.taken, 0);
    }
    slab_close(&chunks);
}

TEST(ready, a_full_slab_is_known_before_a_push)
{
    struct slab chunks;
    struct ready r;
    assert_int_equal(slab_open(&chunks, 2, READY_CHUNK_BYTES), LEAT_OK);
    ready_init(&r);
    unsigned n = 0;
    for (struct ready_entry e = {.lsn = {1}}; ready_has_room(&r, &chunks, e.sent); n++)
        ready_push(&r, &chunks, &e);
    assert_int_equal(n, 2 * READY_CHUNK_ENTRIES);
    slab_close(&chunks);
}

TEST(ready, returned_messages_come_by_position_whatever_is_taken_from_the_middle)
{
    enum { N = 300 };
    struct slab slots;
    struct ready r;
    struct prng prng = prng_seed(3, 0);
    bool in[N] = {false};
    assert_int_equal(slab_open(&slots, N, sizeof(struct message)), LEAT_OK);
    ready_init(&r);
    for (uint32_t i = 0; i < N; i++)
        ((struct message *)slab_write(&slots, slab_take(&slots)))->lsn = lsn_make(1 + (i * 7919u) % N, 0);
    for (int step = 0; step < 100000; step++) {
        uint32_t slot = (uint32_t)prng_below(&prng, N);
        if (in[slot])
            ready_heap_remove(&r, &slots, slot);
        else
            ready_heap_add(&r, &slots, slot);
        in[slot] = !in[slot];
        uint64_t lowest = UINT64_MAX;
        for (uint32_t i = 0; i < N; i++)
            if (in[i] && ((const struct message *)slab_at(&slots, i))->lsn.n < lowest)
                lowest = ((const struct message *)slab_at(&slots, i))->lsn.n;
        assert_true(r.heap == SLAB_NONE ? lowest == UINT64_MAX
                                        : ((const struct message *)slab_at(&slots, r.heap))->lsn.n == lowest);
    }
    assert_true(mark_count("ready_heap_removed_inside") > 0);
    slab_close(&slots);
}
