/* test_journal_clean.c - the cleaner and keep segments on a fake disk: what lives survives, disk stays within its
 * bound, whatever happens on the way. */
#include "keep.h"
#include "log_rig.h"
#include "mark.h"
#include "must.h"
#include "prng.h"
#include "test.h"

enum { EVERY = 16, SEGMENT = 64 * 1024 };

static struct log_rig *made(uint64_t seed, uint32_t clean_above)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = seed % 2};
    disk.latency_min = duration_us(20);
    disk.latency_max = duration_us(200);
    struct journal_config config = log_rig_config();
    config.segment_bytes = SEGMENT;
    config.disk_max = 64 * SEGMENT;
    config.hot_bytes = 160 * 1024;
    config.clean_above = clean_above;
    struct log_rig *r = log_rig_make(&disk, &config);
    r->cleans = true;
    mark_reset();
    assert_int_equal(log_rig_open(r), LEAT_OK);
    return r;
}

/* So many facts, of which every EVERY-th lives; checkpoints on the way. */
static void traffic(struct log_rig *r, uint64_t facts)
{
    for (uint64_t end = r->appended + facts; r->appended < end;) {
        if (log_rig_append(r, JOURNAL_ACK, true, (r->appended + 1) % EVERY == 0))
            log_rig_step(r, duration_us(50));
        else
            log_rig_step(r, duration_ms(1));
        must(journal_error(r->journal) == LEAT_OK);
        if (journal_tail_bytes(r->journal) > SEGMENT && !journal_checkpoint_running(r->journal))
            assert_true(log_rig_checkpoint(r));
    }
    assert_true(log_rig_settle(r));
}

/* Until the cleaner has nothing more to do. */
static void cleaned(struct log_rig *r)
{
    assert_true(log_rig_checkpoint(r) || true);
    for (unsigned quiet = 0; quiet < 100; quiet++)
        if (log_rig_step(r, duration_ms(1)) > 0)
            quiet = 0;
    assert_false(journal_clean_running(r->journal));
}

static uint64_t most_segments(const struct log_rig *r)
{
    struct journal_counters c = journal_counters(r->journal);
    uint64_t needed = c.live_bytes + c.live * KEEP_ENTRY;
    return 2 * needed / SEGMENT + r->config.clean_above + 8;
}

TEST(clean, survivors_move_into_keep_segments_and_can_be_read_before_and_after_a_restart)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct log_rig *r = made(seed, 4);
        traffic(r, 6000);
        cleaned(r);
        struct journal_counters c = journal_counters(r->journal);
        assert_true(c.cleanings > 3 && c.cleaned_segments > 2 * c.cleanings - 1);
        assert_true(c.keep_segments > 0);
        assert_int_equal(c.live, 6000 / EVERY);
        if (c.segments > most_segments(r))
            fail_msg("%llu segments, at most %llu", (unsigned long long)c.segments,
                     (unsigned long long)most_segments(r));
        if (!log_rig_check_bodies(r))
            fail_msg("%s", r->error);
        for (unsigned i = 0; i < 2; i++) {
            log_rig_end(r, i == 0);
            if (log_rig_open(r) != LEAT_OK || !log_rig_check_bodies(r))
                fail_msg("%s", r->error);
        }
        assert_int_equal(journal_counters(r->journal).live_bytes, c.live_bytes);
        log_rig_free(r);
    }
}
