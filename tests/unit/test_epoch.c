/* test_epoch.c - what a start does to time, and what the facts carry of it. */
#include "mark.h"
#include "test.h"
#include "twin.h"

static const struct duration none = {0};
static const struct queue_attributes plain = {.durability = CLASS_DISK};
enum { WALL = 1000 };

static void begin_epoch(struct twin *t, uint32_t epoch, bool same_boot, uint64_t wall_s)
{
    struct fact f = {.kind = FACT_EPOCH};
    f.epoch = (struct fact_epoch){.epoch = epoch, .same_boot = same_boot, .boot = t->now, .boot_id = "a boot"};
    f.epoch.wall_ns = duration_s(wall_s).ns;
    t->limits.epoch = epoch;
    twin_apply(t, &f);
}

TEST(epoch, a_put_and_its_lease_carry_the_epoch)
{
    struct twin t;
    enum leat_status s;
    uint8_t receipt[RECEIPT_BYTES];
    struct fact f;
    twin_open(&t, 4, 16, 4);
    begin_epoch(&t, 7, true, WALL);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    struct request_put_entry entry = {.delay = none};
    assert_int_equal(plan_put(&t.leader, &t.limits, q, &entry, t.now, &f), LEAT_OK);
    assert_int_equal(f.put.epoch, 7);
    twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, receipt), LEAT_OK);
    struct receipt r;
    assert_true(receipt_decode(&r, receipt));
    assert_int_equal(r.epoch, 7);
    twin_close(&t);
}

TEST(epoch, a_lease_goes_on_in_the_same_boot_and_starts_again_in_another)
{
    for (int same_boot = 0; same_boot <= 1; same_boot++) {
        struct twin t;
        enum leat_status s;
        uint8_t receipt[RECEIPT_BYTES];
        twin_open(&t, 4, 16, 4);
        begin_epoch(&t, 1, true, WALL);
        struct queue_ref q = twin_create(&t, "mail", &plain);
        twin_put(&t, q, none, &s);
        twin_put(&t, q, duration_s(35), &s);
        assert_int_equal(twin_take(&t, q, none, receipt), LEAT_OK);
        twin_pass(&t, duration_s(20));
        begin_epoch(&t, 2, same_boot, WALL + 100000);
        twin_pass(&t, duration_ms(9999));
        assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 1);
        twin_pass(&t, duration_ms(2));
        assert_int_equal(engine_queue(&t.leader, q)->counters.leased, same_boot ? 0 : 1);
        twin_pass(&t, duration_ms(5000)); /* a delay goes on in any case */
        assert_int_equal(engine_queue(&t.leader, q)->counters.delayed, 0);
        twin_pass(&t, duration_ms(14998));
        assert_int_equal(engine_queue(&t.leader, q)->counters.leased, same_boot ? 0 : 1);
        twin_pass(&t, duration_ms(2));
        assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 0);
        twin_close(&t);
    }
    assert_true(mark_count("lease_started_again") > 0);
}

TEST(epoch, a_lease_extended_for_hours_does_not_start_again_with_all_of_them)
{
    struct twin t;
    enum leat_status s;
    uint8_t receipt[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    begin_epoch(&t, 1, true, WALL);
    struct queue_ref q = twin_create(&t, "mail", &plain);
    twin_put(&t, q, none, &s);
    assert_int_equal(twin_take(&t, q, none, receipt), LEAT_OK);
    for (unsigned i = 0; i < 500; i++) {
        twin_pass(&t, duration_s(20));
        assert_int_equal(twin_finish(&t, OP_EXTEND, q, receipt, duration_s(40)), LEAT_OK);
    }
    twin_pass(&t, duration_s(1));
    begin_epoch(&t, 2, false, WALL);
    twin_pass(&t, duration_ms(39999)); /* the log does not know of the last second */
    assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 1);
    twin_pass(&t, duration_ms(2));
    assert_int_equal(engine_queue(&t.leader, q)->counters.leased, 0);
    twin_close(&t);
}

TEST(epoch, attempts_survive_a_start)
{
    struct twin t;
    enum leat_status s;
    uint8_t receipt[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref q =
        twin_create(&t, "mail", &(struct queue_attributes){.max_attempts = 2, .durability = CLASS_DISK});
    twin_put(&t, q, none, &s);
    for (uint32_t attempt = 1; attempt <= 2; attempt++) {
        assert_int_equal(twin_take(&t, q, none, receipt), LEAT_OK);
        begin_epoch(&t, attempt, true, WALL);
        assert_int_equal(twin_finish(&t, OP_NACK, q, receipt, none), LEAT_OK);
    }
    assert_int_equal(engine_queue(&t.leader, q)->counters.dead, 1);
    twin_close(&t);
}

TEST(epoch, unix_time_of_a_message_comes_from_its_own_epoch)
{
    struct twin t;
    twin_open(&t, 4, 16, 4);
    assert_int_equal(engine_wall(&t.leader, 1, t.now), 0);
    struct instant start = t.now;
    for (uint32_t epoch = 1; epoch <= 2 * ENGINE_WALLS; epoch++) {
        begin_epoch(&t, epoch, true, WALL * epoch);
        t.now = instant_add(t.now, duration_s(10));
    }
    const uint64_t s = 1000000000, last = 2 * ENGINE_WALLS, oldest = ENGINE_WALLS + 1;
    struct instant last_at = instant_add(start, duration_s((last - 1) * 10));
    struct instant oldest_at = instant_add(start, duration_s((oldest - 1) * 10));
    assert_true(engine_wall(&t.leader, (uint32_t)last, instant_add(last_at, duration_s(3))) == (WALL * last + 3) * s);
    assert_true(engine_wall(&t.leader, (uint32_t)last + 9, last_at) == WALL * last * s);
    assert_true(engine_wall(&t.leader, (uint32_t)oldest, oldest_at) == WALL * oldest * s);
    assert_true(engine_wall(&t.leader, 1, start) == (WALL * oldest - (oldest - 1) * 10) * s); /* the nearest known */
    assert_int_equal(t.leader.epoch.epoch, last);
    assert_true(t.leader.epoch.at.ns == last_at.ns && t.leader.epoch.boot.ns == last_at.ns);
    assert_string_equal((const char *)t.leader.epoch.boot_id, "a boot");
    twin_close(&t);
}

TEST(epoch, a_queue_knows_the_block_of_the_newest_message_moved_into_it)
{
    struct twin t;
    enum leat_status s;
    uint8_t receipt[RECEIPT_BYTES];
    twin_open(&t, 4, 16, 4);
    struct queue_ref dead = twin_create(&t, "dead", &plain);
    struct queue_attributes attributes = {.max_attempts = 1, .durability = CLASS_DISK};
    name_set(&attributes.dead_letter, "dead", 4);
    struct queue_ref q = twin_create(&t, "mail", &attributes);
    twin_put(&t, q, none, &s);
    twin_put(&t, q, none, &s);
    assert_int_equal(engine_queue(&t.leader, dead)->moved_block, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(twin_take(&t, q, none, receipt), LEAT_OK);
        assert_int_equal(twin_finish(&t, OP_NACK, q, receipt, none), LEAT_OK);
        assert_int_equal(engine_queue(&t.leader, dead)->moved_block, t.block);
    }
    assert_int_equal(engine_queue(&t.leader, q)->moved_block, 0);
    twin_close(&t);
}
