/* test_fact.c - facts survive the log, and no damaged or misplaced one passes. */
#include "byteorder.h"
#include "crc32c.h"
#include "fact.h"
#include "slab.h"
#include "test.h"

static const uint8_t kinds[] = {
#define FACT(NAME, name, code, bytes, help) code,
#include "fact_table.h"
#undef FACT
};

static uint32_t example(uint8_t *bytes, uint8_t kind)
{
    struct fact f = {.kind = kind, .entry = 3, .session = 4, .number = 5, .at = {6}, .lsn = lsn_make(7, 8)};
    if (kind == FACT_PUT)
        f.put = (struct fact_put){.queue = 1,
                                  .slot = SLAB_NONE,
                                  .epoch = 0x123456,
                                  .body_size = 13,
                                  .body = (const uint8_t *)"a body, small",
                                  .body_crc = crc32c(0, "a body, small", 13),
                                  .attrs_size = 3,
                                  .attrs = (const uint8_t *)"k=v"};
    else if (kind == FACT_QUEUE_CREATED)
        name_set(&f.queue.name, "mail", 4);
    else if (kind == FACT_LEASED)
        f.leased =
            (struct fact_leased){.queue = 1, .slot = 2, .generation = 3, .epoch = 4, .message = {5}, .deadline = {6}};
    else if (kind == FACT_EPOCH)
        f.epoch = (struct fact_epoch){
            .epoch = 9, .same_boot = true, .boot = {10}, .wall_ns = 11, .boot_id = "fifteen letters"};
    else if (kind == FACT_SESSION_OPENED)
        f.client = (struct fact_session){.handle = 0x10002, .window = 64, .secret = 0x1234567890abcdef};
    else if (kind == FACT_SESSION_ENDED)
        f.client.handle = 0x10002;
    else if (kind == FACT_REFUSED)
        f.refused = (struct fact_refused){.status = LEAT_READY_FULL, .count = 17};
    else
        f.slot = (struct fact_slot){.slot = 11, .generation = 12};
    fact_encode(bytes, &f);
    return fact_size(&f);
}

TEST(fact, every_kind_comes_back_to_the_byte)
{
    for (unsigned i = 0; i < sizeof kinds; i++) {
        uint8_t bytes[512], again[512];
        uint32_t size = example(bytes, kinds[i]);
        struct fact f;
        assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
        fact_encode(again, &f);
        assert_memory_equal(bytes, again, size);
    }
}

TEST(fact, a_put_tells_the_epoch_of_its_put)
{
    uint8_t bytes[512];
    uint32_t size = example(bytes, FACT_PUT);
    struct fact f;
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
    assert_int_equal(f.put.epoch, 0x123456);
}

TEST(fact, a_flipped_bit_anywhere_is_noticed)
{
    for (unsigned i = 0; i < sizeof kinds; i++) {
        uint8_t bytes[512];
        uint32_t size = example(bytes, kinds[i]);
        uint32_t padding = kinds[i] == FACT_PUT ? 3 : 0; /* zeros behind the body belong to the block's checksum */
        for (uint32_t bit = 0; bit < (size - padding) * 8; bit++) {
            struct fact f;
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

TEST(fact, bytes_of_another_position_are_refused)
{
    uint8_t bytes[512];
    uint32_t size = example(bytes, FACT_PUT);
    struct fact f;
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 9), true), LEAT_CORRUPT);
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(8, 8), true), LEAT_CORRUPT);
    for (uint32_t cut = 0; cut < size; cut++)
        assert_int_not_equal(fact_decode(&f, bytes, cut, lsn_make(7, 8), true), LEAT_OK);
}

TEST(fact, an_epoch_a_session_and_a_refusal_tell_what_they_were_told)
{
    uint8_t bytes[512];
    struct fact f;
    uint32_t size = example(bytes, FACT_EPOCH);
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
    assert_true(f.epoch.epoch == 9 && f.epoch.same_boot && f.epoch.boot.ns == 10 && f.epoch.wall_ns == 11);
    assert_string_equal((const char *)f.epoch.boot_id, "fifteen letters");
    size = example(bytes, FACT_SESSION_OPENED);
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
    assert_true(f.client.handle == 0x10002 && f.client.window == 64 && f.client.secret == 0x1234567890abcdef);
    size = example(bytes, FACT_SESSION_ENDED);
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
    assert_int_equal(f.client.handle, 0x10002);
    size = example(bytes, FACT_REFUSED);
    assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), LEAT_OK);
    assert_true(f.refused.status == LEAT_READY_FULL && f.refused.count == 17 && f.entry == 3);
}

/* The fuzzer's: what is written again must be what was read. */
TEST(fact, a_reserved_word_that_is_not_zero_is_refused)
{
    uint8_t bytes[512];
    uint32_t size = example(bytes, FACT_QUEUE_DROPPED);
    struct fact f;
    for (uint32_t word = 0; word < 2; word++) {
        uint32_t seed = (uint32_t)(lsn_make(7, 8).n * 0x9e3779b97f4a7c15ull >> 32);
        le32_put(bytes + FACT_HEADER + 4, word);
        le32_put(bytes + 28, crc32c(crc32c(seed, bytes, 28), bytes + FACT_HEADER, size - FACT_HEADER));
        assert_int_equal(fact_decode(&f, bytes, size, lsn_make(7, 8), true), word ? LEAT_CORRUPT : LEAT_OK);
    }
}
