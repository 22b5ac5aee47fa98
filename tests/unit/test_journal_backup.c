/* test_journal_backup.c - a copy that is read while the log goes on: it is what was durable when it began, it stands in
 * nobody's way for long, and half of it is never taken for a whole. */
#include <errno.h>

#include "log_rig.h"
#include "manifest.h"
#include "mark.h"
#include "test.h"

enum { PIECE = 32 * 1024 };

/* Who reads the backup of a rig, file by file, onto a disk of its own. */
struct copier {
    struct log_rig *from;
    struct log_rig *copy; /* what the rig was when the backup began */
    struct journal_backup backup;
    uint32_t file;
    uint64_t offset;
    uint8_t *piece;
    enum leat_status status;
};

static struct log_rig *tiny(uint64_t seed)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = seed % 2};
    struct journal_config config = log_rig_config();
    config.block_bytes_max = 8192;
    config.segment_bytes = 16384;
    config.depth = 1 + (uint32_t)(seed % 8);
    config.hot_bytes = (config.depth + 2) * 8192;
    config.disk_max = 40 * 16384;
    config.ack_reserve = 512;
    disk.latency_min = duration_us(20);
    disk.latency_max = duration_us(300);
    config.clean_above = 2;
    struct log_rig *r = log_rig_make(&disk, &config);
    r->mortal = true;
    assert_int_equal(log_rig_open(r), LEAT_OK);
    return r;
}

static void put_some(struct log_rig *r, unsigned facts)
{
    for (unsigned i = 0, tries = 0; i < facts; tries++) {
        assert_true(tries < 100000);
        i += log_rig_append(r, JOURNAL_ACK, true, false);
        log_rig_step(r, duration_us(100));
    }
}

/* One put that waits for nothing but a segment that is being made. */
static void put_one(struct log_rig *r)
{
    for (unsigned tries = 0; !log_rig_append(r, JOURNAL_PUT, true, false); tries++) {
        assert_int_equal(journal_refusal(r->journal), LEAT_OVERLOADED);
        assert_true(tries < 1000);
        log_rig_step(r, duration_us(100));
    }
}

/* As many facts as make the log enter a few segments. */
static void churn(struct log_rig *r)
{
    put_some(r, 60);
    assert_true(log_rig_settle(r));
}

static void begin(struct copier *c, struct log_rig *r)
{
    memset(c, 0, sizeof *c);
    c->from = r;
    for (unsigned i = 0; !journal_backup_begin(r->journal); i++) {
        assert_true(i < 1000);
        log_rig_append(r, JOURNAL_ACK, true, false); /* blocks behind the position are on their way */
        log_rig_step(r, duration_us(30));
    }
    c->backup = journal_backup(r->journal);
    c->copy = malloc(sizeof *c->copy);
    *c->copy = *r;
    c->copy->journal = NULL;
    c->copy->appended = c->copy->durable = r->durable;
    struct fake_disk_config disk = {.seed = 11};
    c->copy->disk = fake_disk_open(&disk);
    c->piece = aligned_alloc(DISK_BLOCK, PIECE);
    assert_int_equal(c->backup.position, journal_durable(r->journal));
}

static void copier_free(struct copier *c)
{
    log_rig_free(c->copy);
    free(c->piece);
}

/* One more piece; false when there is none, or the backup is lost. */
static bool copy_piece(struct copier *c)
{
    struct journal *j = c->from->journal;
    if (c->file == c->backup.files || c->status != LEAT_OK)
        return false;
    if (!journal_backup_running(j)) {
        c->status = LEAT_BACKUP_LOST;
        return false;
    }
    struct journal_backup_file f = journal_backup_file(j, c->file);
    if (c->offset == 0) {
        int handle = disk_create(c->copy->disk, f.name, f.size);
        assert_true(handle >= 0);
        disk_close(c->copy->disk, (uint32_t)handle);
        disk_sync_directory(c->copy->disk);
    }
    uint32_t size = f.bytes - c->offset < PIECE ? (uint32_t)(f.bytes - c->offset) : PIECE;
    uint64_t tag = 0;
    if (size > 0) {
        c->status = journal_backup_read(j, c->file, c->offset, size, c->piece, 7);
        if (c->status != LEAT_OK)
            return false;
        while (!journal_backup_read_done(j, &tag, &c->status))
            log_rig_step(c->from, duration_us(50));
        assert_int_equal(tag, 7);
        if (c->status != LEAT_OK)
            return false;
        assert_true(fake_disk_poke(c->copy->disk, f.name, c->offset, c->piece, size));
    }
    c->offset += size;
    if (c->offset == f.bytes) {
        c->file++;
        c->offset = 0;
    }
    return true;
}

static void copy_rest(struct copier *c)
{
    while (copy_piece(c))
        ;
    assert_int_equal(c->status, LEAT_OK);
    journal_backup_end(c->from->journal);
}

static void opens(struct copier *c)
{
    uint64_t durable = c->copy->durable;
    if (log_rig_open(c->copy) != LEAT_OK)
        fail_msg("the copy does not open: %s", c->copy->error);
    assert_int_equal(c->copy->replayed, durable);
    if (!log_rig_check_bodies(c->copy))
        fail_msg("%s", c->copy->error);
}

static void refused(struct copier *c, const char *sentence)
{
    assert_int_equal(log_rig_open(c->copy), LEAT_CORRUPT);
    if (!strstr(c->copy->error, sentence))
        fail_msg("'%s' does not say '%s'", c->copy->error, sentence);
}

TEST(backup, a_copy_is_what_was_durable_when_it_began_and_lives_on)
{
    for (unsigned checkpoints = 0; checkpoints < 3; checkpoints++) {
        struct log_rig *r = tiny(3 + checkpoints);
        struct copier c;
        for (unsigned i = 0; i < checkpoints; i++) {
            churn(r);
            assert_true(log_rig_checkpoint(r));
        }
        put_some(r, 37);
        begin(&c, r);
        churn(r);
        copy_rest(&c);
        opens(&c);
        assert_true(c.copy->appended < r->appended);
        churn(c.copy);
        assert_true(log_rig_checkpoint(c.copy));
        log_rig_end(c.copy, true);
        opens(&c);
        churn(r);
        assert_true(log_rig_check_bodies(r));
        copier_free(&c);
        log_rig_free(r);
    }
}

TEST(backup, the_first_block_of_a_log_can_be_copied)
{
    struct log_rig *r = tiny(1);
    struct copier c;
    begin(&c, r);
    copy_rest(&c);
    opens(&c);
    assert_true(c.copy->replayed > 0);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, it_begins_when_all_that_was_appended_is_durable)
{
    struct log_rig *r = tiny(4);
    struct copier c;
    churn(r);
    for (unsigned i = 0; i < 5; i++)
        put_one(r);
    uint64_t appended = r->appended;
    assert_true(r->durable < appended);
    assert_false(journal_backup_begin(r->journal));
    begin(&c, r);
    assert_true(c.copy->durable >= appended);
    copy_rest(&c);
    opens(&c);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, it_begins_between_two_checkpoints)
{
    struct log_rig *r = tiny(5);
    struct copier c;
    churn(r);
    assert_true(log_rig_begin(r));
    for (unsigned i = 0; i < 100; i++, log_rig_step(r, duration_us(100)))
        assert_false(journal_backup_begin(r->journal));
    assert_true(mark_count("backup_waits_for_checkpoint") > 0);
    assert_true(log_rig_feed(r));
    put_some(r, 10);
    assert_false(journal_checkpoint_possible(r->journal));
    begin(&c, r);
    copy_rest(&c);
    opens(&c);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, an_end_before_the_beginning_lets_checkpoints_go_on)
{
    struct log_rig *r = tiny(6);
    churn(r);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    assert_false(journal_backup_begin(r->journal));
    assert_false(log_rig_begin(r));
    journal_backup_end(r->journal);
    assert_true(log_rig_checkpoint(r));
    log_rig_free(r);
}

TEST(backup, segments_wait_until_they_were_read_and_are_recycled_then)
{
    struct log_rig *r = tiny(8);
    struct copier c;
    churn(r);
    assert_true(log_rig_checkpoint(r));
    churn(r);
    begin(&c, r);
    for (unsigned i = 0; i < 3; i++)
        copy_piece(&c); /* the areas and the first segment */
    uint64_t held = journal_counters(r->journal).segments;
    for (unsigned i = 0; i < 2; i++) {
        churn(r);
        assert_true(log_rig_checkpoint(r));
    }
    assert_true(journal_counters(r->journal).segments >= held);
    copy_rest(&c);
    opens(&c);
    for (unsigned i = 0; i < 6; i++) {
        churn(r);
        assert_true(log_rig_checkpoint(r));
    }
    assert_true(log_rig_check_bodies(r));
    log_rig_end(r, true);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, one_checkpoint_passes_before_the_area_was_read_and_others_after)
{
    struct log_rig *r = tiny(9);
    struct copier c;
    churn(r);
    assert_true(log_rig_checkpoint(r));
    put_some(r, 10);
    begin(&c, r);
    churn(r);
    assert_true(log_rig_checkpoint(r));
    churn(r);
    assert_false(journal_checkpoint_possible(r->journal));
    assert_false(log_rig_begin(r));
    while (c.file < 2)
        assert_true(copy_piece(&c));
    assert_false(journal_checkpoint_possible(r->journal)); /* the last piece may be asked for again */
    assert_true(copy_piece(&c));
    assert_true(log_rig_checkpoint(r));
    churn(r);
    assert_true(log_rig_checkpoint(r));
    copy_rest(&c);
    opens(&c);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, what_was_let_go_cannot_be_read_again)
{
    struct log_rig *r = tiny(10);
    struct copier c;
    churn(r);
    begin(&c, r);
    assert_int_equal(journal_backup_read(r->journal, 3, 0, DISK_BLOCK, c.piece, 1), LEAT_OK);
    assert_int_equal(journal_backup_read(r->journal, 2, 0, DISK_BLOCK, c.piece, 1), LEAT_BAD_VALUE);
    assert_int_equal(journal_backup_read(r->journal, 3, 0, 100, c.piece, 1), LEAT_BAD_VALUE);
    assert_int_equal(journal_backup_read(r->journal, 3, 512, DISK_BLOCK, c.piece, 1), LEAT_BAD_VALUE);
    assert_int_equal(journal_backup_read(r->journal, 3, UINT64_MAX - 4095, DISK_BLOCK, c.piece, 1), LEAT_BAD_VALUE);
    assert_int_equal(journal_backup_read(r->journal, 3, 16384, DISK_BLOCK, c.piece, 1), LEAT_BAD_VALUE);
    assert_int_equal(journal_backup_read(r->journal, c.backup.files, 0, DISK_BLOCK, c.piece, 1), LEAT_BAD_VALUE);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(journal_backup_read(r->journal, 3, 0, DISK_BLOCK, c.piece, 1), LEAT_OK);
    assert_int_equal(journal_backup_read(r->journal, 3, 0, DISK_BLOCK, c.piece, 1), LEAT_OVERLOADED);
    assert_false(journal_idle(r->journal));
    assert_true(log_rig_settle(r));
    journal_backup_end(r->journal);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, a_read_that_outlives_its_backup_says_so)
{
    struct log_rig *r = tiny(12);
    struct copier c;
    uint64_t tag;
    enum leat_status status;
    churn(r);
    begin(&c, r);
    assert_int_equal(journal_backup_read(r->journal, 2, 0, DISK_BLOCK, c.piece, 5), LEAT_OK);
    journal_backup_end(r->journal);
    struct copier again;
    begin(&again, r);
    while (!journal_backup_read_done(r->journal, &tag, &status))
        log_rig_step(r, duration_us(50));
    assert_int_equal(tag, 5);
    assert_int_equal(status, LEAT_BACKUP_LOST);
    fake_disk_fail(r->disk, DISK_READ, 1, -EIO);
    assert_int_equal(journal_backup_read(r->journal, 2, 0, DISK_BLOCK, c.piece, 6), LEAT_OK);
    while (!journal_backup_read_done(r->journal, &tag, &status))
        log_rig_step(r, duration_us(50));
    assert_int_equal(status, LEAT_DISK_ERROR);
    journal_backup_end(r->journal);
    copier_free(&c);
    copier_free(&again);
    log_rig_free(r);
}

TEST(backup, who_does_not_read_for_a_minute_loses_it)
{
    struct log_rig *r = tiny(13);
    struct copier c;
    churn(r);
    assert_true(log_rig_checkpoint(r));
    begin(&c, r);
    log_rig_step(r, duration_s(59));
    assert_true(copy_piece(&c));
    log_rig_step(r, duration_s(59));
    assert_true(journal_backup_running(r->journal));
    struct instant due = journal_next_due(r->journal);
    assert_true(due.ns <= r->now + 1000000000);
    log_rig_step(r, duration_s(1));
    assert_false(journal_backup_running(r->journal));
    assert_true(mark_count("backup_stalled") > 0);
    assert_int_equal(journal_backup_read(r->journal, 2, 0, DISK_BLOCK, c.piece, 1), LEAT_BACKUP_LOST);
    assert_int_equal(journal_counters(r->journal).backups_lost, 1);
    journal_backup_end(r->journal);
    struct copier again;
    begin(&again, r);
    copy_rest(&again);
    opens(&again);
    copier_free(&c);
    copier_free(&again);
    log_rig_free(r);
}

static struct log_rig *half_read(struct copier *c)
{
    struct log_rig *r = tiny(14);
    churn(r);
    assert_true(log_rig_checkpoint(r));
    churn(r);
    begin(c, r);
    while (c->file < 3)
        assert_true(copy_piece(c));
    return r;
}

TEST(backup, it_gives_way_before_puts_are_refused_for_its_sake)
{
    struct copier c;
    struct log_rig *r = half_read(&c);
    for (unsigned i = 0; journal_backup_running(r->journal); i++) {
        assert_true(i < 2000);
        put_one(r);
        assert_true(log_rig_settle(r));
        if (journal_tail_bytes(r->journal) > 30000)
            assert_true(log_rig_checkpoint(r));
        if (i % 20 == 0) { /* it reads, so it is not for silence that it is lost, and stays in its file */
            c.offset = 0;
            uint64_t tag;
            enum leat_status status = journal_backup_read(r->journal, 3, 0, DISK_BLOCK, c.piece, 1);
            while (status == LEAT_OK && !journal_backup_read_done(r->journal, &tag, &status))
                log_rig_step(r, duration_us(50));
        }
    }
    assert_true(mark_count("backup_gives_way") > 0);
    copier_free(&c);
    log_rig_free(r);
}

/* Else a client that asks again at once would hold for ever what the log needs. */
TEST(backup, the_next_one_waits_for_the_checkpoint_that_frees_what_a_lost_one_held)
{
    struct copier c;
    struct log_rig *r = half_read(&c);
    for (unsigned i = 0; journal_backup_running(r->journal); i++) {
        assert_true(i < 2000);
        if (journal_tail_bytes(r->journal) > 30000)
            assert_true(log_rig_checkpoint(r));
        put_one(r);
        assert_true(log_rig_settle(r));
    }
    for (unsigned i = 0; !journal_short(r->journal); i++) {
        assert_true(i < 2000);
        put_one(r);
        assert_true(log_rig_settle(r));
    }
    uint64_t free = journal_counters(r->journal).free_segments;
    journal_backup_end(r->journal);
    assert_true(log_rig_settle(r));
    assert_false(journal_backup_begin(r->journal));
    assert_true(log_rig_checkpoint(r));
    for (unsigned i = 0; !journal_backup_begin(r->journal) && i < 1000; i++)
        log_rig_step(r, duration_us(50));
    assert_true(journal_backup_running(r->journal));
    assert_true(journal_counters(r->journal).free_segments > free);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, a_log_that_is_short_for_other_reasons_can_be_copied)
{
    struct log_rig *r = tiny(15);
    struct copier c;
    r->mortal = false;
    while (journal_refusal(r->journal) != LEAT_NO_SPACE) { /* all of it lives */
        log_rig_append(r, JOURNAL_PUT, true, true);
        log_rig_step(r, duration_us(100));
    }
    assert_true(journal_short(r->journal));
    assert_true(log_rig_checkpoint(r));
    begin(&c, r);
    copy_rest(&c);
    opens(&c);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, half_a_copy_is_never_taken_for_a_whole)
{
    struct log_rig *r = tiny(16);
    struct copier c;
    uint8_t unfinished[2 * MANIFEST_BYTES] = "This backup has not ended.";
    churn(r);
    assert_true(log_rig_checkpoint(r));
    put_some(r, 10);
    begin(&c, r);
    int handle = disk_create(c.copy->disk, "manifest", sizeof unfinished);
    assert_true(handle >= 0);
    disk_close(c.copy->disk, (uint32_t)handle);
    disk_sync_directory(c.copy->disk);
    assert_true(fake_disk_poke(c.copy->disk, "manifest", 0, unfinished, sizeof unfinished));
    for (uint32_t i = 0; c.file + 1 < c.backup.files; i++) {
        refused(&c, "is a backup that did not end");
        log_rig_end(c.copy, true);
        assert_true(copy_piece(&c));
    }
    refused(&c, "is a backup that did not end");
    log_rig_end(c.copy, true);
    copy_rest(&c);
    opens(&c);
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, a_copy_without_its_last_block_is_refused)
{
    struct log_rig *r = tiny(17);
    struct copier c;
    churn(r);
    put_some(r, 1);
    begin(&c, r);
    struct journal_backup_file last = journal_backup_file(r->journal, c.backup.files - 2);
    copy_rest(&c);
    uint8_t zeros[DISK_BLOCK] = {0};
    assert_true(fake_disk_poke(c.copy->disk, last.name, last.bytes - DISK_BLOCK, zeros, sizeof zeros));
    refused(&c, "is damaged or missing, and blocks up to");
    copier_free(&c);
    log_rig_free(r);
}

TEST(backup, copies_leap_to_epochs_of_their_own_once)
{
    struct log_rig *r = tiny(18);
    struct copier a, b;
    churn(r);
    begin(&a, r);
    copy_rest(&a);
    begin(&b, r);
    copy_rest(&b);
    b.copy->config.entropy = a.copy->config.entropy + 1;
    opens(&a);
    opens(&b);
    uint32_t original = journal_epoch(r->journal), first = journal_epoch(a.copy->journal);
    assert_true(first >= original + 65535);
    assert_true(journal_epoch(b.copy->journal) >= original + 65535);
    assert_int_not_equal(first, journal_epoch(b.copy->journal));
    churn(a.copy);
    log_rig_end(a.copy, false);
    opens(&a);
    assert_int_equal(journal_epoch(a.copy->journal), first + 1);
    log_rig_end(r, false);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    assert_int_equal(journal_epoch(r->journal), original + 1);
    copier_free(&a);
    copier_free(&b);
    log_rig_free(r);
}

TEST(backup, keep_segments_are_copied_and_held_ones_are_not_cleaned)
{
    struct log_rig *r = tiny(20);
    struct copier c;
    r->cleans = true;
    for (unsigned i = 0; i < 12; i++) {
        churn(r);
        assert_true(log_rig_checkpoint(r));
    }
    assert_true(journal_counters(r->journal).keep_segments > 0);
    begin(&c, r);
    for (unsigned i = 0; i < 3; i++)
        assert_true(copy_piece(&c));
    for (unsigned i = 0; i < 3; i++) {
        churn(r);
        assert_true(log_rig_checkpoint(r));
    }
    copy_rest(&c);
    opens(&c);
    assert_true(journal_counters(c.copy->journal).keep_segments > 0);
    churn(c.copy);
    assert_true(log_rig_checkpoint(c.copy));
    assert_true(log_rig_check_bodies(c.copy));
    assert_true(log_rig_check_bodies(r));
    copier_free(&c);
    log_rig_free(r);
}

/* The world goes on in any order: facts, checkpoints, cleaning, steps and pieces; the log itself survives a power cut
 * after it. */
TEST(backup, whatever_happens_meanwhile_the_copy_is_of_its_beginning)
{
    unsigned ended = 0;
    for (uint64_t seed = 100; seed < 400; seed++) {
        struct log_rig *r = tiny(seed);
        struct prng p = prng_seed(seed, 1);
        r->cleans = seed % 3 == 0;
        struct copier c;
        for (unsigned i = (unsigned)prng_below(&p, 4); i > 0; i--) {
            put_some(r, (unsigned)prng_below(&p, 80));
            log_rig_checkpoint(r);
        }
        put_some(r, 1 + (unsigned)prng_below(&p, 50));
        begin(&c, r);
        uint64_t speed = 1 + prng_below(&p, 60);
        for (bool going = true; going;) {
            if (prng_chance(&p, 60))
                log_rig_append(r, JOURNAL_ACK, prng_chance(&p, 70), false);
            log_rig_step(r, duration_us(prng_below(&p, 300)));
            if (journal_tail_bytes(r->journal) > 30000 && !journal_checkpoint_running(r->journal) && log_rig_begin(r))
                log_rig_feed(r);
            if (prng_below(&p, 100) < speed)
                going = copy_piece(&c);
        }
        journal_backup_end(r->journal);
        if (c.status == LEAT_OK) {
            ended++;
            opens(&c);
            churn(c.copy);
        } else {
            assert_int_equal(c.status, LEAT_BACKUP_LOST);
        }
        log_rig_end(r, true);
        if (log_rig_open(r) != LEAT_OK || !log_rig_check_bodies(r))
            fail_msg("seed %llu: %s", (unsigned long long)seed, r->error);
        copier_free(&c);
        log_rig_free(r);
    }
    assert_true(ended > 200);
}
