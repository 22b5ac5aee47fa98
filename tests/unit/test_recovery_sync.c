/* test_recovery_sync.c - what a start has read is durable from then on, whoever wrote it and whether or not he synced
 * it. */
#include "log_rig.h"
#include "test.h"

static const struct duration us100 = {100000};

TEST(recovery, what_a_start_has_read_survives_a_power_cut_right_behind_it)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct fake_disk_config disk = {.seed = seed, .latency_min = us100, .latency_max = us100};
        struct journal_config config = log_rig_config();
        struct log_rig *r = log_rig_make(&disk, &config);
        assert_int_equal(log_rig_open(r), LEAT_OK);
        for (unsigned i = 0; i < 10; i++) {
            assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
            log_rig_step(r, (struct duration){150000});
        }
        log_rig_end(r, false); /* the process dies: blocks are written that nothing has flushed */
        struct journal *j;
        assert_int_equal(journal_open(&j, r->disk, &config, r->error), LEAT_OK);
        enum leat_status status;
        uint64_t found = 0;
        uint8_t image[64];
        while (journal_replay_image(j, image, sizeof image, &status, r->error) > 0)
            ;
        for (struct journal_block b = {0}; journal_replay_block(j, &b, &status, r->error);)
            found += b.facts;
        journal_close(j);
        fake_disk_crash(r->disk); /* before it could write anything */
        assert_true(log_rig_opens(r, found));
        log_rig_free(r);
    }
}

/* As `cp -r` leaves it: written, and in nobody's memory but the kernel's. */
static void written_anew(struct log_rig *r, const char *name)
{
    static uint8_t bytes[65536] __attribute__((aligned(DISK_BLOCK))), zeros[65536];
    assert_true(fake_disk_peek(r->disk, name, 0, bytes, sizeof bytes));
    assert_true(fake_disk_poke(r->disk, name, 0, zeros, sizeof zeros));
    int file = disk_open(r->disk, name);
    assert_true(file >= 0);
    struct disk_op op = {.kind = DISK_WRITE, .file = (uint32_t)file, .data = bytes, .size = sizeof bytes};
    struct disk_done done;
    assert_true(disk_submit(r->disk, &op));
    do
        disk_wait(r->disk);
    while (disk_reap(r->disk, &done, 1) == 0);
    assert_int_equal(done.result, sizeof bytes);
    disk_close(r->disk, (uint32_t)file);
}

TEST(recovery, files_that_were_copied_and_not_synced_outlive_a_power_cut_once_a_start_has_accepted_them)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct fake_disk_config disk = {.seed = seed};
        struct journal_config config = log_rig_config();
        struct log_rig *r = log_rig_make(&disk, &config);
        assert_int_equal(log_rig_open(r), LEAT_OK);
        for (unsigned i = 0, tries = 0; i < 100; tries++) {
            assert_true(tries < 10000);
            i += log_rig_append(r, JOURNAL_ACK, true, i % 8 == 0);
            log_rig_step(r, us100);
        }
        assert_true(log_rig_settle(r));
        assert_true(log_rig_checkpoint(r));
        log_rig_end(r, false);
        fake_disk_settle(r->disk);
        written_anew(r, "log-00000001");
        written_anew(r, "log-00000002");
        assert_true(log_rig_opens(r, r->appended));
        log_rig_end(r, true);
        assert_true(log_rig_opens(r, r->appended));
        assert_true(log_rig_check_bodies(r));
        log_rig_free(r);
    }
}
