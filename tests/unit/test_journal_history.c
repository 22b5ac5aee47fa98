/* test_journal_history.c - dead segments stay for a while, and make room when room is needed. */
#include "log_rig.h"
#include "mark.h"
#include "test.h"

/* Appends facts that nobody needs, with a checkpoint now and then, or when space is short. */
static struct journal_counters run(uint64_t history_bytes, unsigned facts, unsigned *refused)
{
    struct journal_config config = log_rig_config();
    struct fake_disk_config disk = {.seed = 1};
    config.history_bytes = history_bytes;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    *refused = 0;
    for (unsigned n = 0; n < facts; n++) {
        if (n % 50 == 49 || journal_short(r->journal)) {
            log_rig_settle(r);
            log_rig_checkpoint(r);
        }
        if (!log_rig_append(r, JOURNAL_PUT, true, false))
            (*refused)++;
        assert_true(log_rig_settle(r));
    }
    assert_true(log_rig_checkpoint(r));
    log_rig_settle(r);
    struct journal_counters c = journal_counters(r->journal);
    log_rig_end(r, true);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    log_rig_free(r);
    return c;
}

TEST(journal, history_keeps_dead_segments_up_to_its_bytes)
{
    unsigned refused;
    struct journal_counters without = run(0, 1500, &refused);
    assert_int_equal(refused, 0);
    struct journal_counters with = run(4 * 64 * 1024, 1500, &refused);
    assert_int_equal(refused, 0);
    assert_int_equal(with.free_segments + 4, without.free_segments);
    assert_true(mark_count("segment_kept_as_history") > 0);
}

TEST(journal, history_gives_way_when_space_is_short)
{
    unsigned refused;
    uint64_t recycled = mark_count("segment_recycled");
    run(1ull << 40, 3000, &refused);
    assert_int_equal(refused, 0);
    assert_true(mark_count("segment_recycled") > recycled + 10);
}
