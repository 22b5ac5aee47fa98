/* test_journal_crash.c - the power goes at every single step of the disk: what was durable is there, what is there was
 * appended in this order, and recovery may crash as well. */
#include "byteorder.h"
#include "log.h"
#include "log_rig.h"
#include "manifest.h"
#include "mark.h"
#include "test.h"

/* Tiny: segments of two blocks, so that a hundred facts enter, recycle and give back many. */
static struct log_rig *tiny(uint64_t seed, bool durable_writes)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = durable_writes, .short_percent = 0};
    struct journal_config config = log_rig_config();
    config.block_bytes_max = 8192;
    config.segment_bytes = 16384;
    config.depth = 1 + (uint32_t)(seed % 8);
    config.hot_bytes = (config.depth + 2) * 8192;
    config.disk_max = 40 * 16384;
    config.ack_reserve = 512;
    config.clean_above = (uint32_t)(seed / 2 % 3);
    disk.latency_min = duration_us(20);
    disk.latency_max = duration_us(300);
    struct log_rig *r = log_rig_make(&disk, &config);
    r->mortal = true;
    r->cleans = seed % 2 == 0;
    r->image_bytes = seed % 4 == 3 ? 150000 : 100; /* larger than the area that a directory is made with */
    return r;
}

/* A few facts at a time, a checkpoint now and then; stops when the disk is dead. */
static void work(struct log_rig *r, uint64_t facts)
{
    struct prng prng = prng_seed(facts, 77);
    for (unsigned i = 0; r->appended < facts && i < 4000 && !fake_disk_dead(r->disk); i++) {
        log_rig_append(r, JOURNAL_ACK, prng_chance(&prng, 70), false);
        if (prng_chance(&prng, 50))
            log_rig_step(r, duration_us(prng_below(&prng, 400)));
        if (journal_tail_bytes(r->journal) > 60000 && !journal_checkpoint_running(r->journal) && log_rig_begin(r))
            log_rig_feed(r);
    }
    if (prng_chance(&prng, 50))
        log_rig_settle(r);
}

static void open_or_fail(struct log_rig *r, uint64_t seed, uint64_t point)
{
    enum leat_status status = log_rig_open(r);
    if (status != LEAT_OK)
        fail_msg("seed %llu, power cut after event %llu: %s: %s", (unsigned long long)seed, (unsigned long long)point,
                 status_name(status), r->error);
    if (!log_rig_check_bodies(r))
        fail_msg("seed %llu, power cut after event %llu: %s", (unsigned long long)seed, (unsigned long long)point,
                 r->error);
}

/* Recoveries that crash themselves, then one that does not; then life goes on, through another power cut. */
static void recover_and_go_on(struct log_rig *r, uint64_t seed, uint64_t point)
{
    for (unsigned i = 0; i < 2; i++) {
        fake_disk_die(r->disk, prng_below(&r->prng, 60));
        enum leat_status status = log_rig_open(r);
        if (status != LEAT_OK && !fake_disk_dead(r->disk))
            fail_msg("seed %llu, event %llu, recovery: %s: %s", (unsigned long long)seed, (unsigned long long)point,
                     status_name(status), r->error);
        log_rig_end(r, true);
    }
    open_or_fail(r, seed, point);
    work(r, r->appended + 30);
    log_rig_end(r, prng_chance(&r->prng, 70));
    open_or_fail(r, seed, point);
}

/* Runs a fresh rig until the disk dies after `point` events; false when the work ended before. */
static bool one(uint64_t seed, uint64_t point)
{
    struct log_rig *r = tiny(seed, seed % 2);
    fake_disk_die(r->disk, point);
    if (log_rig_open(r) == LEAT_OK)
        work(r, 160);
    bool died = fake_disk_dead(r->disk);
    log_rig_end(r, true);
    recover_and_go_on(r, seed, point);
    log_rig_free(r);
    return died;
}

TEST(crash, after_every_event_of_the_disk_what_was_durable_is_found_and_bodies_can_be_read)
{
    mark_reset();
    uint64_t points = 0;
    for (uint64_t seed = 1; seed <= 8; seed++)
        for (uint64_t point = 0; one(seed, point); point++)
            points++;
    if (points < 2000)
        fail_msg("only %llu points", (unsigned long long)points);
    static const char *const reached[] = {"torn_tail",
                                          "block_behind_tear",
                                          "segment_entered",
                                          "segment_recycled",
                                          "unlisted_segment_removed",
                                          "directory_cut_while_made",
                                          "watermark_block",
                                          "segment_given_back",
                                          "manifest_second_copy",
                                          "checkpoint_area_grows",
                                          "clean_published",
                                          "index_names_cleaned_segment"};
    for (unsigned i = 0; i < sizeof reached / sizeof reached[0]; i++)
        if (mark_count(reached[i]) == 0)
            fail_msg("no crash reached %s", reached[i]);
}

TEST(crash, long_lives_with_many_power_cuts_lose_nothing)
{
    for (uint64_t seed = 100; seed < 140; seed++) {
        struct log_rig *r = tiny(seed, seed % 2);
        open_or_fail(r, seed, 0);
        for (unsigned life = 0; life < 12; life++) {
            fake_disk_die(r->disk, 50 + prng_below(&r->prng, 600));
            work(r, r->appended + 150);
            log_rig_end(r, prng_chance(&r->prng, 80));
            open_or_fail(r, seed, life);
        }
        assert_true(r->appended > 100);
        log_rig_free(r);
    }
}

TEST(crash, the_process_dies_and_the_machine_goes_on)
{
    for (uint64_t seed = 200; seed < 220; seed++) {
        struct log_rig *r = tiny(seed, seed % 2);
        open_or_fail(r, seed, 0);
        for (unsigned life = 0; life < 10; life++) {
            work(r, r->appended + prng_below(&r->prng, 60));
            log_rig_end(r, false);
            open_or_fail(r, seed, life);
        }
        log_rig_free(r);
    }
}

TEST(crash, a_failed_flush_loses_only_what_was_never_acknowledged)
{
    for (uint64_t seed = 300; seed < 400; seed++) {
        struct log_rig *r = tiny(seed, seed % 2);
        open_or_fail(r, seed, 0);
        enum disk_kind kind = seed % 2 || seed % 4 == 0 ? DISK_WRITE : DISK_FLUSH;
        fake_disk_fail(r->disk, kind, 1 + (uint32_t)prng_below(&r->prng, 60), -5);
        work(r, 150);
        log_rig_end(r, true);
        open_or_fail(r, seed, 1);
        log_rig_free(r);
    }
}

/* A slow disk: while the head of a spare was erased, the log has come to it, and others have been made behind it. The
 * manifest is busy with an older change. */
static struct log_rig *erased_late(uint64_t seed)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = true};
    struct journal_config config = log_rig_config();
    disk.latency_min = disk.latency_max = duration_us(20);
    struct log_rig *r = log_rig_make(&disk, &config);
    open_or_fail(r, seed, 0);
    struct segments *t = &r->journal->segments;
    while (t->total < t->log_count + 2 || !ledger_idle(r->journal))
        log_rig_step(r, duration_us(1));
    t->trim = TRIM_FLUSHING;
    t->trim_slot = t->order[t->log_count];
    t->pool[t->trim_slot].ready = UINT64_MAX;
    while (log_rig_append(r, JOURNAL_ACK, true, false))
        assert_true(log_rig_settle(r));
    ledger_change(r->journal);
    log_rig_step(r, duration_us(1));
    return r;
}

TEST(crash, what_stands_behind_a_spare_that_is_given_back_is_entered_when_the_manifest_no_longer_lists_that)
{
    for (uint64_t seed = 400; seed < 410; seed++) {
        struct log_rig *r = erased_late(seed);
        const struct segments *t = &r->journal->segments;
        uint32_t before = t->log_count;
        segment_erased(r->journal, LOG_ERASE_FLUSH, 0);
        for (unsigned i = 0; i < 1000 && t->log_count == before; i++) {
            log_rig_append(r, JOURNAL_ACK, true, false);
            log_rig_step(r, duration_us(1));
        }
        assert_int_equal(t->log_count, before + 1);
        assert_true(r->journal->ledger.durable >= t->trim_version);
        assert_true(log_rig_settle(r));
        log_rig_end(r, true);
        open_or_fail(r, seed, 1);
        log_rig_free(r);
    }
}

static void damage_newest_manifest(struct log_rig *r)
{
    uint8_t sequence[2][8], byte;
    for (unsigned i = 0; i < 2; i++)
        assert_true(fake_disk_peek(r->disk, "manifest", i * MANIFEST_BYTES + 16, sequence[i], 8));
    uint64_t at = (le64_get(sequence[1]) > le64_get(sequence[0])) * (uint64_t)MANIFEST_BYTES + 2000;
    assert_true(fake_disk_peek(r->disk, "manifest", at, &byte, 1));
    byte ^= 1;
    assert_true(fake_disk_poke(r->disk, "manifest", at, &byte, 1));
}

TEST(crash, a_segment_is_given_back_when_neither_copy_of_the_manifest_lists_it)
{
    for (uint64_t seed = 500; seed < 540; seed++) {
        struct fake_disk_config disk = {
            .seed = seed, .durable_writes = true, .latency_min = {20000}, .latency_max = {300000}};
        struct journal_config config = log_rig_config();
        struct log_rig *r = log_rig_make(&disk, &config);
        mark_reset();
        open_or_fail(r, seed, 0);
        while (log_rig_append(r, JOURNAL_PUT, true, true) || journal_refusal(r->journal) != LEAT_NO_SPACE)
            log_rig_step(r, duration_us(100));
        for (uint64_t i = 1; i <= r->appended; i++)
            log_rig_unpin(r, i);
        assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_true(log_rig_checkpoint(r));
        while (mark_count("segment_given_back") < 1 + seed % 5)
            log_rig_step(r, duration_us(1));
        log_rig_end(r, true);
        damage_newest_manifest(r);
        open_or_fail(r, seed, 1);
        log_rig_free(r);
    }
}
