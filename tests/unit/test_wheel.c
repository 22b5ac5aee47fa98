/* test_wheel.c - leases never end early, and none is forgotten. */
#include "mark.h"
#include "prng.h"
#include "test.h"
#include "wheel.h"

enum { SLOTS = 2000 };

static struct instant at_us(uint64_t us)
{
    return (struct instant){us * 1000};
}

TEST(wheel, fires_no_entry_early_and_each_within_a_tick)
{
    static const uint64_t reach_us[] = {3000, 300000, 90000000, 43200000000ull, 31536000000000ull};
    for (unsigned r = 0; r < 5; r++) {
        struct wheel w;
        struct prng prng = prng_seed(r, 0);
        uint64_t due[SLOTS], fired = 0;
        assert_int_equal(wheel_open(&w, SLOTS, at_us(5000000)), LEAT_OK);
        for (uint32_t i = 0; i < SLOTS; i++) {
            due[i] = 5000000 + prng_below(&prng, reach_us[r]);
            wheel_arm(&w, i, at_us(due[i]));
        }
        struct instant now = at_us(5000000);
        while (wheel_next_due(&w).ns != UINT64_MAX) {
            assert_true(wheel_next_due(&w).ns + WHEEL_TICK_NS > now.ns);
            now = instant_max(now, wheel_next_due(&w));
            for (uint32_t slot; (slot = wheel_fire(&w, now)) != SLAB_NONE; fired++) {
                assert_true(due[slot] * 1000 <= now.ns);
                assert_true(now.ns - due[slot] * 1000 <= 2 * WHEEL_TICK_NS);
                due[slot] = UINT64_MAX / 1000;
            }
        }
        assert_int_equal(fired, SLOTS);
        wheel_close(&w);
    }
}

TEST(wheel, agrees_with_a_plain_list_under_arming_again_and_long_pauses)
{
    struct wheel w;
    struct prng prng = prng_seed(9, 0);
    uint64_t due[64], now_us = 1;
    memset(due, 0xff, sizeof due);
    assert_int_equal(wheel_open(&w, 64, at_us(now_us)), LEAT_OK);
    for (int step = 0; step < 200000; step++) {
        uint32_t slot = (uint32_t)prng_below(&prng, 64);
        if (prng_chance(&prng, 60)) {
            uint64_t spans[] = {0, 900, 5000, 400000, 70000000};
            uint64_t span = spans[prng_below(&prng, 5)];
            due[slot] = now_us + (span ? prng_below(&prng, span) : 0);
            wheel_arm(&w, slot, at_us(due[slot]));
            continue;
        }
        now_us += prng_below(&prng, prng_chance(&prng, 2) ? 90000000 : 3000);
        for (uint32_t s; (s = wheel_fire(&w, at_us(now_us))) != SLAB_NONE;) {
            if (due[s] <= now_us)
                due[s] = UINT64_MAX;
            else if (due[s] != UINT64_MAX)
                wheel_arm(&w, s, at_us(due[s]));
        }
        for (unsigned i = 0; i < 64; i++)
            assert_true(due[i] == UINT64_MAX || due[i] + 1000 >= now_us); /* overdue by a tick at most */
    }
    assert_true(mark_count("wheel_spread") > 0);
    assert_true(mark_count("wheel_spread_in_part") > 0); /* by the test before, whose buckets hold 2000 */
    assert_true(mark_count("wheel_armed_earlier") > 0);
    wheel_close(&w);
}

TEST(wheel, a_large_bucket_is_spread_in_parts_and_its_entries_may_be_armed_meanwhile)
{
    struct wheel w;
    struct prng prng = prng_seed(4, 0);
    uint64_t due[SLOTS];
    unsigned fired = 0;
    assert_int_equal(wheel_open(&w, SLOTS, at_us(0)), LEAT_OK);
    for (uint32_t i = 0; i < SLOTS; i++)
        wheel_arm(&w, i, at_us(due[i] = 300000 + prng_below(&prng, 200000)));
    mark_reset();
    assert_true(wheel_fire(&w, at_us(290000)) == SLAB_NONE);
    assert_int_equal(mark_count("wheel_spread_in_part"), 1);
    assert_true(wheel_next_due(&w).ns <= 290000000);
    for (uint32_t i = 0; i < SLOTS; i += 3) /* some of them stand in the bucket still, some do not */
        wheel_arm(&w, i, at_us(due[i] = 295000));
    for (uint64_t now = 290000; fired < SLOTS; now += wheel_next_due(&w).ns <= now * 1000 ? 0 : 1000) {
        assert_true(now < 502000);
        for (uint32_t slot; (slot = wheel_fire(&w, at_us(now))) != SLAB_NONE; fired++) {
            assert_true(due[slot] <= now);
            due[slot] = UINT64_MAX;
        }
    }
    assert_true(wheel_next_due(&w).ns == UINT64_MAX);
    assert_int_equal(w.pieces.taken, 0);
    wheel_close(&w);
}
