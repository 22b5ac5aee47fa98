/* test_journal.c - the running log: group commit, back-pressure, bodies, checkpoints, space. Crashes are in
 * test_journal_crash.c, damage in test_recovery.c. */
#include <errno.h>

#include "log_rig.h"
#include "mark.h"
#include "must.h"
#include "test.h"

static const struct duration none = {0};
static const struct duration us100 = {100000};

static struct log_rig *rig_with(uint64_t seed, bool durable_writes, uint64_t segment_bytes, unsigned segments)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = durable_writes};
    struct journal_config config = log_rig_config();
    config.segment_bytes = segment_bytes;
    config.disk_max = segments * segment_bytes;
    disk.latency_min = duration_us(20);
    disk.latency_max = duration_us(200);
    struct log_rig *r = log_rig_make(&disk, &config);
    if (log_rig_open(r) != LEAT_OK)
        fail_msg("%s", r->error);
    return r;
}

static struct log_rig *rig(uint64_t seed, bool durable_writes)
{
    return rig_with(seed, durable_writes, 65536, 16);
}

static void reopen(struct log_rig *r, bool power_cut)
{
    log_rig_end(r, power_cut);
    if (log_rig_open(r) != LEAT_OK)
        fail_msg("%s", r->error);
}

TEST(journal, what_is_durable_is_found_again_on_both_durable_paths)
{
    for (int durable_writes = 0; durable_writes < 2; durable_writes++) {
        struct log_rig *r = rig(1, durable_writes);
        for (unsigned i = 0; i < 200; i++) {
            if (!log_rig_append(r, JOURNAL_ACK, true, false))
                log_rig_step(r, us100);
            if (i % 7 == 0)
                log_rig_step(r, us100);
        }
        assert_true(log_rig_settle(r));
        uint64_t facts = r->appended;
        assert_true(facts > 150);
        reopen(r, true);
        assert_int_equal(r->replayed, facts);
        assert_int_equal(journal_epoch(r->journal), 2);
        log_rig_free(r);
    }
}

TEST(journal, a_lone_waited_fact_leaves_at_once_and_an_unwaited_one_after_five_milliseconds)
{
    struct log_rig *r = rig(2, true);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    log_rig_step(r, none);
    assert_int_equal(fake_disk_under_way(r->disk), 2); /* the block, and the next segment being made */
    assert_true(log_rig_settle(r));
    while (fake_disk_under_way(r->disk) > 0)
        log_rig_step(r, us100);
    uint64_t blocks = journal_counters(r->journal).blocks;
    assert_true(log_rig_append(r, JOURNAL_PUT, false, false));
    uint64_t start = r->now;
    assert_int_equal(journal_next_due(r->journal).ns, start + 5000000);
    log_rig_step(r, (struct duration){4999999});
    assert_int_equal(journal_counters(r->journal).blocks, blocks);
    log_rig_step(r, (struct duration){1});
    assert_int_equal(journal_counters(r->journal).blocks, blocks + 1);
    assert_true(log_rig_settle(r));
    /* it rides with a waited one */
    assert_true(log_rig_append(r, JOURNAL_PUT, false, false));
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    log_rig_step(r, none);
    assert_int_equal(journal_counters(r->journal).blocks, blocks + 2);
    log_rig_free(r);
}

TEST(journal, what_arrives_while_a_block_is_written_shares_the_next_one)
{
    struct log_rig *r = rig(3, true);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    log_rig_step(r, none);
    uint64_t blocks = journal_counters(r->journal).blocks;
    for (unsigned i = 0; i < 10; i++) {
        assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
        log_rig_step(r, none);
    }
    assert_int_equal(journal_counters(r->journal).blocks, blocks); /* small: it waits for the first one */
    assert_true(log_rig_settle(r));
    assert_int_equal(journal_counters(r->journal).blocks, blocks + 1);
    log_rig_free(r);
}

TEST(journal, full_blocks_leave_together_up_to_the_depth_and_then_reserve_says_no_until_one_is_done)
{
    struct log_rig *r = rig_with(4, true, 1 << 20, 4);
    for (unsigned round = 0; round < 5; round++) {
        while (log_rig_append(r, JOURNAL_PUT, true, false))
            ;
        assert_int_equal(journal_refusal(r->journal), LEAT_OVERLOADED);
        log_rig_step(r, none); /* allows the ring to be written on */
    }
    assert_int_equal(journal_appended(r->journal) - journal_durable(r->journal), 9); /* eight, and the open one */
    uint64_t durable = journal_durable(r->journal);
    while (journal_durable(r->journal) == durable)
        log_rig_step(r, duration_us(1));
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    assert_true(log_rig_settle(r));
    log_rig_free(r);
}

TEST(journal, completions_out_of_order_move_the_watermark_over_a_prefix_only)
{
    mark_reset();
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct log_rig *r = rig(seed, seed % 2);
        for (unsigned i = 0; i < 400; i++) {
            while (log_rig_append(r, JOURNAL_ACK, true, false) && prng_chance(&r->prng, 90))
                ;
            log_rig_step(r, (struct duration){prng_below(&r->prng, 50000)});
            if (i == 200 + seed) {
                reopen(r, true); /* checks that nothing which the watermark covered is lost */
                continue;
            }
            if (journal_tail_bytes(r->journal) > 100000)
                assert_true(log_rig_checkpoint(r));
        }
        assert_true(log_rig_settle(r));
        reopen(r, true);
        log_rig_free(r);
    }
    assert_true(mark_count("write_out_of_order") > 0);
    assert_true(mark_count("segment_recycled") > 0);
}

TEST(journal, a_short_write_is_continued_and_counts_when_it_is_whole)
{
    mark_reset();
    struct fake_disk_config disk = {.seed = 5, .short_percent = 40};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    for (unsigned i = 0; i < 50 && log_rig_open(r) != LEAT_OK; i++) /* start-up does not put up with short writes */
        log_rig_end(r, true);
    for (unsigned i = 0; i < 60; i++) {
        if (i % 20 == 19)
            assert_true(log_rig_checkpoint(r));
        assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_true(log_rig_settle(r));
    }
    log_rig_end(r, true);
    for (unsigned i = 0; i < 50 && log_rig_open(r) == LEAT_DISK_ERROR; i++)
        log_rig_end(r, true);
    assert_int_equal(r->replayed, 60);
    assert_true(mark_count("write_short") > 0);
    log_rig_free(r);
}

TEST(journal, a_watermark_block_proves_the_last_ones_within_ten_milliseconds_and_only_once)
{
    mark_reset();
    struct log_rig *r = rig(6, true);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    assert_true(log_rig_settle(r));
    uint64_t durable_at = r->now;
    assert_true(journal_next_due(r->journal).ns <= durable_at + 10000000);
    log_rig_step(r, (struct duration){9999999});
    assert_int_equal(mark_count("watermark_block"), 0);
    log_rig_step(r, (struct duration){1});
    assert_int_equal(mark_count("watermark_block"), 1);
    assert_true(log_rig_settle(r));
    assert_int_equal(journal_next_due(r->journal).ns, UINT64_MAX);
    for (unsigned i = 0; i < 100; i++)
        log_rig_step(r, duration_ms(5));
    assert_int_equal(mark_count("watermark_block"), 1);
    reopen(r, true);
    assert_int_equal(r->replayed, 1);
    log_rig_free(r);
}

/* -- bodies -- */

static void check_body(struct log_rig *r, uint64_t fact, uint8_t *data, bool *was_hot)
{
    const uint8_t *hot = journal_hot(r->journal, r->lsn[fact], r->place[fact], log_rig_size(fact));
    *was_hot = hot != NULL;
    if (hot)
        assert_true(log_rig_is(r, hot, fact));
    if (lsn_block(r->lsn[fact]) > journal_durable(r->journal)) {
        assert_non_null(hot);
        return;
    }
    uint32_t skip;
    uint64_t tag;
    enum leat_status status;
    assert_true(journal_fetch(r->journal, r->lsn[fact], r->place[fact], log_rig_size(fact), data, &skip, fact));
    while (!journal_fetched(r->journal, &tag, &status))
        log_rig_step(r, us100);
    assert_int_equal(tag, fact);
    assert_int_equal(status, LEAT_OK);
    assert_true(log_rig_is(r, data + skip, fact));
}

TEST(journal, every_body_is_found_hot_or_cold_also_after_a_restart_that_did_not_read_its_segment)
{
    struct log_rig *r = rig_with(7, true, 65536, 64);
    uint8_t *data = aligned_alloc(4096, 65536);
    unsigned hot = 0, cold = 0;
    bool was_hot;
    for (uint64_t i = 0; i < 400; i++) {
        while (!log_rig_append(r, JOURNAL_ACK, true, i % 3 == 0))
            log_rig_step(r, us100);
        log_rig_step(r, us100);
        if (i % 60 == 59)
            assert_true(log_rig_checkpoint(r));
        check_body(r, 1 + i - i % 3, data, &was_hot);
        hot += was_hot;
    }
    assert_int_equal(hot, 400);
    for (uint64_t i = 1; i <= r->appended; i += 3) {
        check_body(r, i, data, &was_hot);
        cold += !was_hot;
    }
    assert_true(cold > 20);
    assert_true(log_rig_settle(r));
    uint64_t before = fake_disk_bytes_read(r->disk);
    reopen(r, true);
    assert_in_range(fake_disk_bytes_read(r->disk) - before, 0, fake_disk_bytes(r->disk) / 2);
    for (uint64_t i = 1; i <= r->appended; i += 3)
        check_body(r, i, data, &was_hot);
    free(data);
    log_rig_free(r);
}

TEST(journal, sixty_four_fetches_run_at_once_and_a_failed_one_says_so)
{
    struct log_rig *r = rig(8, true);
    static uint8_t data[65][8192] __attribute__((aligned(4096)));
    for (uint64_t i = 0; i < 65; i++)
        assert_true(log_rig_append(r, JOURNAL_ACK, true, true));
    assert_true(log_rig_settle(r));
    while (fake_disk_under_way(r->disk) > 0)
        log_rig_step(r, us100);
    fake_disk_fail(r->disk, DISK_READ, 10, -EIO);
    uint32_t skip[66];
    for (uint64_t i = 1; i <= 64; i++)
        assert_true(journal_fetch(r->journal, r->lsn[i], r->place[i], log_rig_size(i), data[i - 1], &skip[i], i));
    assert_false(journal_fetch(r->journal, r->lsn[65], r->place[65], log_rig_size(65), data[64], &skip[65], 65));
    unsigned good = 0, bad = 0;
    uint64_t tag;
    enum leat_status status;
    for (unsigned i = 0; i < 10; i++) {
        log_rig_step(r, us100);
        while (journal_fetched(r->journal, &tag, &status)) {
            if (status == LEAT_OK && ++good)
                assert_true(log_rig_is(r, data[tag - 1] + skip[tag], tag));
            bad += status == LEAT_DISK_ERROR;
        }
    }
    assert_int_equal(good, 63);
    assert_int_equal(bad, 1);
    assert_true(journal_fetch(r->journal, lsn_make(9999, 0), 80, 64, data[0], &skip[0], 7));
    assert_true(journal_fetched(r->journal, &tag, &status));
    assert_int_equal(status, LEAT_CORRUPT);
    log_rig_free(r);
}

TEST(journal, a_hot_pointer_stays_good_until_the_next_step)
{
    struct log_rig *r = rig(9, true);
    for (unsigned round = 0; round < 60; round++) {
        const uint8_t *hot[16];
        uint64_t first = r->appended > 16 ? r->appended - 15 : 1, n = 0;
        for (uint64_t i = first; i <= r->appended; i++, n++)
            hot[n] = journal_hot(r->journal, r->lsn[i], r->place[i], log_rig_size(i));
        for (unsigned i = 0; i < 40; i++)
            log_rig_append(r, JOURNAL_ACK, true, false);
        for (uint64_t i = 0; i < n; i++)
            assert_true(!hot[i] || log_rig_is(r, hot[i], first + i));
        log_rig_step(r, us100);
        if (journal_tail_bytes(r->journal) > 200000)
            assert_true(log_rig_checkpoint(r));
    }
    log_rig_free(r);
}

/* -- space -- */

TEST(journal, segments_are_recycled_for_ever_and_the_disk_stays_small)
{
    struct log_rig *r = rig(10, true);
    mark_reset();
    for (unsigned i = 0; i < 20000; i++) {
        while (!log_rig_append(r, JOURNAL_PUT, true, true))
            log_rig_step(r, us100);
        if (r->appended > 8)
            log_rig_unpin(r, r->appended - 8);
        log_rig_step(r, us100);
        if (journal_tail_bytes(r->journal) > 64 * 1024)
            assert_true(log_rig_checkpoint(r));
        assert_true(journal_counters(r->journal).segments <= 6);
    }
    assert_true(journal_counters(r->journal).segments <= 5); /* four, and one more with the newest bodies */
    assert_true(mark_count("segment_recycled") > 100);
    assert_true(log_rig_settle(r));
    reopen(r, true);
    log_rig_free(r);
}

TEST(journal, a_backlog_that_has_been_drained_gives_its_segments_back)
{
    struct log_rig *r = rig(11, true);
    while (log_rig_append(r, JOURNAL_PUT, true, true) || journal_refusal(r->journal) != LEAT_NO_SPACE)
        log_rig_step(r, us100);
    assert_true(journal_counters(r->journal).segments > 10);
    for (uint64_t i = 1; i <= r->appended; i++)
        log_rig_unpin(r, i);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_checkpoint(r));
    for (unsigned i = 0; i < 200; i++)
        log_rig_step(r, us100);
    assert_true(journal_counters(r->journal).segments <= 4);
    assert_int_equal(fake_disk_bytes(r->disk), journal_counters(r->journal).disk_bytes);
    assert_true(mark_count("segment_given_back") > 5);
    reopen(r, true);
    log_rig_free(r);
}

TEST(journal, a_nearly_full_disk_refuses_puts_then_takes_then_what_time_brings_and_serves_acks_to_the_last_segment)
{
    struct log_rig *r = rig_with(12, true, 65536, 32);
    enum journal_purpose purpose = JOURNAL_PUT;
    uint64_t free_at[4] = {0};
    for (;;) {
        if (log_rig_append(r, purpose, true, true)) {
            log_rig_step(r, us100);
            continue;
        }
        if (journal_refusal(r->journal) == LEAT_OVERLOADED) {
            log_rig_step(r, us100);
            continue;
        }
        assert_int_equal(journal_refusal(r->journal), LEAT_NO_SPACE);
        free_at[purpose] = journal_counters(r->journal).free_segments;
        if (purpose == JOURNAL_ACK)
            break;
        purpose++;
    }
    assert_int_equal(free_at[JOURNAL_PUT], 8); /* of thirty-two segments: the next block would begin one of the eight */
    assert_int_equal(free_at[JOURNAL_TAKE], 3); /* fewer than four, two */
    assert_int_equal(free_at[JOURNAL_TIME], 1);
    assert_int_equal(free_at[JOURNAL_ACK], 0);
    assert_true(log_rig_settle(r));
    for (uint64_t i = 1; i <= r->appended; i++)
        log_rig_unpin(r, i);
    assert_true(log_rig_checkpoint(r)); /* possible even now */
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    assert_true(log_rig_settle(r));
    reopen(r, true);
    log_rig_free(r);
}

TEST(journal, acks_have_bytes_of_their_own_in_every_block)
{
    struct log_rig *r = rig(13, true);
    struct lsn lsn;
    uint32_t place, most = 16 * 1024 - 80;
    assert_null(journal_reserve(r->journal, JOURNAL_PUT, most - 1024 + 8, 0, &lsn, &place));
    assert_int_equal(journal_refusal(r->journal), LEAT_TOO_LARGE);
    assert_null(journal_reserve(r->journal, JOURNAL_PUT, 8, most, &lsn, &place));
    assert_non_null(journal_reserve(r->journal, JOURNAL_PUT, most - 1024, 0, &lsn, &place));
    assert_non_null(journal_reserve(r->journal, JOURNAL_ACK, most, 0, &lsn, &place));
    assert_int_equal(place, 80);
    assert_int_equal(lsn_index(lsn), 0);
    log_rig_free(r);
}

TEST(journal, what_must_lie_together_lies_in_one_block)
{
    struct log_rig *r = rig(14, true);
    for (unsigned i = 0; i < 100; i++) {
        struct lsn lsn, first;
        uint32_t place;
        while (!journal_reserve(r->journal, JOURNAL_ACK, 800, 8000, &first, &place))
            log_rig_step(r, us100);
        journal_commit(r->journal, 800, true, (struct instant){r->now});
        for (unsigned k = 1; k < 10; k++) {
            assert_non_null(journal_reserve(r->journal, JOURNAL_ACK, 800, 0, &lsn, &place));
            journal_commit(r->journal, 800, true, (struct instant){r->now});
            assert_int_equal(lsn_block(lsn), lsn_block(first));
            assert_int_equal(lsn_index(lsn), lsn_index(first) + k);
        }
        log_rig_step(r, us100);
        if (journal_tail_bytes(r->journal) > 200000) {
            while (!journal_checkpoint_begin(r->journal, 0))
                log_rig_step(r, us100);
            journal_checkpoint_end(r->journal);
            while (journal_checkpoint_running(r->journal))
                log_rig_step(r, us100);
        }
    }
    log_rig_free(r);
}

/* -- failures -- */

TEST(journal, a_failed_write_or_flush_is_the_end_and_nothing_is_acknowledged_after_it)
{
    for (unsigned k = 0; k < 4; k++) {
        struct log_rig *r = rig(15 + k, k >= 2);
        fake_disk_fail(r->disk, k % 2 && k < 2 ? DISK_FLUSH : DISK_WRITE, 3, k == 3 ? 0 : -EIO);
        for (unsigned i = 0; i < 200 && journal_error(r->journal) == LEAT_OK; i++) {
            log_rig_append(r, JOURNAL_ACK, true, false);
            log_rig_step(r, us100);
        }
        assert_int_equal(journal_error(r->journal), LEAT_DISK_ERROR);
        uint64_t durable = journal_durable(r->journal);
        assert_false(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_int_equal(journal_refusal(r->journal), LEAT_DISK_ERROR);
        for (unsigned i = 0; i < 20; i++)
            log_rig_step(r, us100);
        assert_int_equal(journal_durable(r->journal), durable);
        reopen(r, true);
        log_rig_free(r);
    }
}

TEST(journal, a_segment_that_cannot_be_made_is_tried_again_later)
{
    struct log_rig *r = rig(20, true);
    fake_disk_create_fail(r->disk, 1000);
    while (log_rig_append(r, JOURNAL_ACK, true, false) || journal_refusal(r->journal) != LEAT_NO_SPACE)
        log_rig_step(r, us100);
    assert_true(journal_counters(r->journal).segments <= 2);
    fake_disk_create_fail(r->disk, 0);
    for (unsigned i = 0; i < 30; i++)
        log_rig_step(r, duration_ms(100));
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    log_rig_free(r);
}

TEST(journal, a_full_file_system_refuses_puts_and_takes_and_recovers_when_there_is_room_again)
{
    struct fake_disk_config disk = {.seed = 24, .durable_writes = true, .capacity = 5 * 65536 + 3 * 131072};
    struct journal_config config = log_rig_config();
    config.disk_max = 64 * 65536;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    enum journal_purpose purpose = JOURNAL_PUT;
    while (purpose != JOURNAL_ACK)
        if (!log_rig_append(r, purpose, true, false) && journal_refusal(r->journal) == LEAT_NO_SPACE)
            purpose++;
        else
            log_rig_step(r, us100);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_checkpoint(r));
    log_rig_step(r, duration_ms(1001));
    assert_true(journal_counters(r->journal).segments <= 5);
    assert_false(log_rig_append(r, JOURNAL_PUT, true, false)); /* four free are not eight */
    fake_disk_resize(r->disk, 0);
    log_rig_step(r, duration_ms(1001));
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    fake_disk_resize(r->disk, 6 * 65536 + 3 * 131072);
    fake_disk_create_fail(r->disk, 1); /* short, and the next one cannot be made either */
    while (log_rig_append(r, JOURNAL_PUT, true, false) || journal_refusal(r->journal) != LEAT_NO_SPACE)
        log_rig_step(r, us100);
    fake_disk_resize(r->disk, 16 * 65536);
    for (unsigned i = 0; i < 21; i++)
        log_rig_step(r, duration_ms(100));
    assert_true(journal_counters(r->journal).free_segments > 4);
    assert_true(log_rig_settle(r));
    reopen(r, true);
    log_rig_free(r);
}

TEST(journal, a_checkpoint_larger_than_its_area_grows_it_and_is_abandoned_when_that_fails)
{
    mark_reset();
    struct log_rig *r = rig(21, true);
    r->image_bytes = 400000;
    assert_true(log_rig_append(r, JOURNAL_ACK, true, true));
    assert_true(log_rig_checkpoint(r));
    assert_int_equal(mark_count("checkpoint_area_grows"), 1);
    reopen(r, true);
    assert_int_equal(r->replayed_from, 1);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    while (fake_disk_under_way(r->disk) > 0)
        log_rig_step(r, us100);
    fake_disk_create_fail(r->disk, 1);
    assert_false(log_rig_checkpoint(r));
    assert_int_equal(mark_count("checkpoint_abandoned"), 1);
    assert_int_equal(journal_error(r->journal), LEAT_OK);
    assert_false(log_rig_begin(r)); /* not at once */
    log_rig_step(r, duration_ms(1001));
    assert_true(log_rig_checkpoint(r));
    reopen(r, true);
    assert_int_equal(r->replayed_from, 2);
    log_rig_free(r);
}

TEST(journal, the_blob_and_the_identity_last)
{
    struct fake_disk_config disk = {.seed = 22};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    uint8_t blob[JOURNAL_BLOB];
    char error[256];
    enum leat_status status;
    struct journal_block b;
    assert_int_equal(journal_open(&r->journal, r->disk, &config, error), LEAT_OK);
    assert_int_equal(journal_blob(r->journal, blob), 0);
    journal_set_blob(r->journal, (const uint8_t *)"capacities", 10);
    assert_int_equal(journal_replay_image(r->journal, blob, 8, &status, error), 0);
    assert_false(journal_replay_block(r->journal, &b, &status, error));
    assert_int_equal(status, LEAT_OK);
    assert_int_equal(journal_start(r->journal, error), LEAT_OK);
    log_rig_end(r, true);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    assert_int_equal(journal_blob(r->journal, blob), 10);
    assert_memory_equal(blob, "capacities", 10);
    log_rig_end(r, true);
    r->config.cluster = 99;
    assert_int_equal(log_rig_open(r), LEAT_CORRUPT);
    assert_non_null(strstr(r->error, "cluster"));
    log_rig_free(r);
}

TEST(journal, a_config_that_does_not_add_up_is_refused_by_name)
{
    static const char *const names[] = {"block_bytes_max", "segment_bytes", "depth",
                                        "hot_bytes",       "disk_max",      "ack_reserve"};
    struct fake_disk_config disk = {.seed = 23};
    struct disk *d = fake_disk_open(&disk);
    for (unsigned i = 0; i < 6; i++) {
        struct journal_config c = log_rig_config();
        struct journal *j;
        char error[256] = "";
        c.block_bytes_max += i == 0;
        c.segment_bytes = i == 1 ? 8192 : c.segment_bytes;
        c.depth = i == 2 ? 9 : c.depth;
        c.hot_bytes = i == 3 ? 9 * 16384 : c.hot_bytes;
        c.disk_max = i == 4 ? 3 * 65536 : c.disk_max;
        c.ack_reserve = i == 5 ? 16384 : c.ack_reserve;
        assert_int_equal(journal_open(&j, d, &c, error), LEAT_BAD_VALUE);
        assert_non_null(strstr(error, names[i]));
    }
    fake_disk_close(d);
}

TEST(journal, a_slow_write_keeps_nobody_awake)
{
    struct fake_disk_config disk = {.seed = 3, .durable_writes = true};
    struct journal_config config = log_rig_config();
    disk.latency_min = disk.latency_max = duration_ms(200);
    struct log_rig *r = log_rig_make(&disk, &config);
    if (log_rig_open(r) != LEAT_OK)
        fail_msg("%s", r->error);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    log_rig_step(r, none);                                      /* under way for 200 ms */
    assert_true(log_rig_append(r, JOURNAL_TAKE, false, false)); /* nobody waits for it */
    log_rig_step(r, duration_ms(6));
    for (int i = 0; i < 3; i++)
        log_rig_step(r, none);
    assert_true(journal_next_due(r->journal).ns > r->now); /* else the shard does not sleep for 194 ms */
    log_rig_free(r);
}
