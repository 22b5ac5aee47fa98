/* test_journal_clean.c - the cleaner and keep segments on a fake disk: what lives survives, disk stays within its
 * bound, whatever happens on the way. */
#include "log.h"
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

TEST(clean, keep_segments_that_have_become_sparse_are_cleaned_again)
{
    struct log_rig *r = made(5, 2);
    traffic(r, 6000);
    cleaned(r);
    uint64_t keeps = journal_counters(r->journal).keep_segments;
    for (uint64_t i = 1; i <= 6000; i++)
        if (r->pinned[i] && i % (8 * EVERY) != 0)
            log_rig_unpin(r, i);
    traffic(r, 1500);
    cleaned(r);
    struct journal_counters c = journal_counters(r->journal);
    assert_true(keeps >= 4);
    assert_true(c.keep_segments < keeps && c.keep_segments > 0);
    assert_true(c.segments <= most_segments(r));
    log_rig_end(r, true);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

TEST(clean, a_few_segments_are_never_cleaned)
{
    struct log_rig *r = made(6, 1000);
    traffic(r, 500);
    cleaned(r);
    assert_int_equal(journal_counters(r->journal).cleanings, 0);
    assert_int_equal(journal_counters(r->journal).cleaned_bytes, 0);
    log_rig_free(r);
}

TEST(clean, a_wrong_fact_is_not_copied_its_segment_stays_and_the_others_are_cleaned)
{
    struct log_rig *r = made(7, 2);
    r->wrong = RIG_FIRST_ASKED;
    traffic(r, 6000);
    cleaned(r);
    struct journal_counters c = journal_counters(r->journal);
    uint64_t kept = 0;
    for (uint64_t i = EVERY; i <= r->appended; i += EVERY)
        kept += journal_kept(r->journal, r->lsn[i]);
    assert_int_equal(c.cleanings_given_up, 1);
    assert_true(c.cleanings > 3);
    assert_false(journal_kept(r->journal, r->lsn[r->wrong]));
    assert_true(kept > 6000 / EVERY / 4);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

/* Reads go on beside the cleaner, also of what is just being moved, twice over. */
TEST(clean, reads_under_way_get_their_bytes_whatever_is_moved_meanwhile)
{
    enum { READS = 16, ROOM = 4 * DISK_BLOCK };
    for (uint64_t seed = 8; seed < 16; seed++) {
        struct log_rig *r = made(seed, 0);
        uint8_t *data = aligned_alloc(DISK_BLOCK, READS * ROOM);
        uint32_t skip[READS];
        uint64_t fact[READS] = {0}, tag, got = 0;
        enum leat_status status;
        for (unsigned i = 0; i < 12000; i++) {
            if (r->appended < 4000)
                traffic(r, 1);
            else if (r->appended < 5000 && i % 4 == 0)
                traffic(r, 1);
            unsigned slot = i % READS;
            uint64_t wish = (1 + prng_below(&r->prng, r->appended / EVERY + 1)) * EVERY;
            if (fact[slot] == 0 && wish <= r->appended && r->pinned[wish] &&
                !journal_hot(r->journal, r->lsn[wish], r->place[wish], log_rig_size(wish)) &&
                journal_fetch(r->journal, r->lsn[wish], r->place[wish], log_rig_size(wish), data + slot * ROOM,
                              &skip[slot], slot))
                fact[slot] = wish;
            log_rig_step(r, duration_us(30));
            while (journal_fetched(r->journal, &tag, &status)) {
                if (status != LEAT_OK || !log_rig_is(r, data + tag * ROOM + skip[tag], fact[tag]))
                    fail_msg("seed %llu: fact %llu: %s", (unsigned long long)seed, (unsigned long long)fact[tag],
                             status_name(status));
                fact[tag] = 0;
                got++;
            }
            uint64_t dies = (1 + prng_below(&r->prng, r->appended / EVERY + 1)) * EVERY;
            bool read = false;
            for (unsigned k = 0; k < READS; k++)
                read |= fact[k] == dies;
            if (i % 40 == 0 && dies <= r->appended && r->pinned[dies] && !read)
                log_rig_unpin(r, dies);
        }
        assert_true(got > 1000);
        assert_true(journal_counters(r->journal).cleanings > 5);
        log_rig_end(r, false);
        free(data);
        log_rig_free(r);
    }
    assert_true(mark_count("fetch_moved") > 0);
}

/* Where the first keep segment lies: name, and pages of its directory. */
static uint32_t find_keep(struct log_rig *r, char name[DISK_NAME_MAX])
{
    uint8_t page[DISK_BLOCK];
    for (unsigned file = 1; file < 200; file++) {
        snprintf(name, DISK_NAME_MAX, "log-%08u", file);
        if (fake_disk_peek(r->disk, name, 0, page, sizeof page) && memcmp(page, "leat kep", 8) == 0 &&
            journal_counters(r->journal).keep_segments > 0)
            return page[44];
    }
    return 0;
}

static void flip(struct log_rig *r, const char *name, uint64_t offset)
{
    uint8_t byte;
    must(fake_disk_peek(r->disk, name, offset, &byte, 1));
    byte ^= 1;
    must(fake_disk_poke(r->disk, name, offset, &byte, 1));
}

TEST(clean, a_rotten_directory_is_refused_with_its_exact_range)
{
    struct log_rig *r = made(16, 0);
    traffic(r, 3000);
    cleaned(r);
    char name[DISK_NAME_MAX], words[128];
    uint32_t pages = find_keep(r, name);
    assert_true(pages > 0);
    log_rig_end(r, true);
    for (uint32_t at = 0; at < pages * DISK_BLOCK; at += 997) {
        flip(r, name, at);
        snprintf(words, sizeof words, "%s, bytes %u..%u", name, at / DISK_BLOCK * DISK_BLOCK,
                 at / DISK_BLOCK * DISK_BLOCK + DISK_BLOCK - 1);
        enum leat_status status = log_rig_open(r);
        if (status != LEAT_CORRUPT || !strstr(r->error, words))
            fail_msg("byte %u: %s: %s", at, status_name(status), r->error);
        log_rig_end(r, true);
        flip(r, name, at);
    }
    assert_true(fake_disk_spoil(r->disk, name, 0));
    assert_int_equal(log_rig_open(r), LEAT_CORRUPT);
    assert_non_null(strstr(r->error, "the directory of kept messages"));
    log_rig_free(r);
}

/* A body that rotted is found by whoever reads it; the cleaner does not carry it on. */
TEST(clean, a_rotten_body_in_a_keep_segment_is_given_up_and_never_copied)
{
    struct log_rig *r = made(17, 0);
    traffic(r, 3000);
    cleaned(r);
    char name[DISK_NAME_MAX];
    uint32_t pages = find_keep(r, name);
    assert_true(pages > 0);
    for (uint64_t at = pages * DISK_BLOCK; at < SEGMENT; at += 8)
        flip(r, name, at);
    uint64_t copied = journal_counters(r->journal).cleanings;
    for (uint64_t i = 1; i <= 3000; i++)
        if (r->pinned[i] && i % (4 * EVERY) != 0)
            log_rig_unpin(r, i);
    traffic(r, 1500);
    cleaned(r);
    assert_true(journal_counters(r->journal).cleanings_given_up > 0);
    assert_true(journal_counters(r->journal).cleanings > copied);
    assert_false(log_rig_check_bodies(r));
    log_rig_free(r);
}

TEST(clean, nothing_is_published_before_the_ends_of_all_others_are_proven)
{
    struct fake_disk_config disk = {.seed = 18, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.disk_max = 64 * SEGMENT;
    config.clean_above = 0;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    traffic(r, 500);
    assert_true(log_rig_checkpoint(r) || true);
    assert_true(log_rig_append(r, JOURNAL_ACK, false, false)); /* say, an ack that nobody waits for */
    r->cleans = true;
    for (unsigned i = 0; i < 450; i++) /* the open block leaves after 5 ms */
        log_rig_step(r, duration_us(10));
    assert_int_equal(journal_counters(r->journal).cleanings, 0);
    assert_true(journal_clean_running(r->journal));
    for (unsigned i = 0; i < 100; i++)
        log_rig_step(r, duration_ms(1));
    assert_true(journal_counters(r->journal).cleanings > 0);
    log_rig_free(r);
}

TEST(clean, a_stretch_in_which_nobody_lives_any_more_is_left_to_the_next_checkpoint)
{
    struct log_rig *r = made(19, 2);
    r->cleans = false;
    traffic(r, 500);
    uint64_t first, last;
    for (unsigned i = 0; !journal_clean_begin(r->journal, RIG_FACTS_MAX, &first, &last); i++) {
        assert_true(i < 1000);
        log_rig_step(r, duration_ms(1));
    }
    for (uint64_t i = 1; i <= r->appended; i++) /* acked during the sweep */
        if (r->pinned[i] && lsn_block(r->lsn[i]) >= first && lsn_block(r->lsn[i]) <= last)
            log_rig_unpin(r, i);
    uint64_t before = journal_counters(r->journal).segments;
    journal_clean_list(r->journal, r->survivors, 0);
    assert_int_equal(mark_count("clean_nobody_left"), 1);
    assert_false(journal_clean_running(r->journal));
    cleaned(r);
    assert_true(journal_counters(r->journal).segments < before);
    assert_int_equal(journal_counters(r->journal).cleanings, 0);
    r->cleans = true;
    cleaned(r);
    assert_true(journal_counters(r->journal).cleanings > 0);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

TEST(clean, a_write_that_fails_ends_the_journal_and_the_next_start_has_everything)
{
    for (uint64_t seed = 20; seed < 28; seed++) {
        struct log_rig *r = made(seed, 2);
        r->cleans = false;
        traffic(r, 500);
        cleaned(r);
        r->cleans = true;
        for (unsigned i = 0; r->journal->clean.op != CLEAN_READ; i++) {
            assert_true(i < 10000);
            log_rig_step(r, duration_us(10));
        }
        fake_disk_fail(r->disk, DISK_WRITE, 1, -5);
        for (unsigned i = 0; i < 1000 && journal_error(r->journal) == LEAT_OK; i++)
            log_rig_step(r, duration_ms(1));
        assert_int_equal(journal_error(r->journal), LEAT_DISK_ERROR);
        assert_int_equal(mark_count("clean_write_failed"), 1);
        log_rig_end(r, seed % 2);
        assert_int_equal(log_rig_open(r), LEAT_OK);
        cleaned(r);
        assert_true(journal_counters(r->journal).cleanings > 0);
        assert_true(log_rig_check_bodies(r));
        log_rig_free(r);
    }
}

TEST(clean, on_a_full_disk_cleaning_goes_on_and_makes_room_for_puts)
{
    struct fake_disk_config disk = {.seed = 19, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.disk_max = 16 * SEGMENT;
    config.clean_above = 0;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    unsigned refused = 0;
    while (refused < 50) {
        bool put = log_rig_append(r, JOURNAL_PUT, true, (r->appended + 1) % EVERY == 0);
        refused += !put && journal_refusal(r->journal) == LEAT_NO_SPACE;
        log_rig_step(r, duration_us(100));
        if (journal_tail_bytes(r->journal) > SEGMENT && !journal_checkpoint_running(r->journal))
            log_rig_checkpoint(r);
    }
    assert_true(log_rig_settle(r));
    log_rig_checkpoint(r);
    assert_false(log_rig_append(r, JOURNAL_PUT, true, false));
    r->cleans = true;
    for (unsigned i = 0; i < 3000 && !log_rig_append(r, JOURNAL_PUT, true, false); i++)
        log_rig_step(r, duration_ms(1));
    cleaned(r);
    assert_true(log_rig_append(r, JOURNAL_PUT, true, false));
    assert_true(journal_counters(r->journal).cleanings > 0);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

/* A disk of five segments, full of puts of which some live. */
static struct log_rig *filled(void)
{
    struct fake_disk_config disk = {.seed = 21};
    disk.latency_min = disk.latency_max = duration_us(20);
    struct journal_config config = log_rig_config();
    config.disk_max = 5 * SEGMENT;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    for (unsigned refused = 0; refused < 50;) {
        bool put = log_rig_append(r, JOURNAL_PUT, true, r->appended % 4 == 0);
        refused += !put && journal_refusal(r->journal) == LEAT_NO_SPACE;
        log_rig_step(r, duration_us(100));
    }
    assert_true(log_rig_settle(r));
    return r;
}

/* The cleaner has just replaced segments, and the manifest is busy with an older change. */
static struct log_rig *replaced(void)
{
    struct log_rig *r = filled();
    assert_true(log_rig_checkpoint(r));
    r->cleans = true;
    for (unsigned i = 0; i < 10000 && r->journal->clean.state != CLEAN_PUBLISHING; i++) {
        if (r->journal->clean.state == CLEAN_FLUSHING)
            ledger_change(r->journal);
        log_rig_step(r, duration_us(1));
    }
    assert_int_equal(r->journal->clean.state, CLEAN_PUBLISHING);
    assert_true(r->journal->ledger.started < r->journal->clean.version);
    return r;
}

/* Acks that fill the disk many times over, with checkpoints on the way. */
static void acks_go_round(struct log_rig *r)
{
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned tries = 0; !log_rig_append(r, JOURNAL_ACK, true, false); tries++) {
            if (tries == 100)
                fail_msg("ack %u is refused for ever: %s", i, status_name(journal_refusal(r->journal)));
            log_rig_checkpoint(r);
            log_rig_step(r, duration_ms(1));
        }
        log_rig_step(r, duration_ms(1));
    }
}

/* If a crash now brings the old arrangement back, no put may stand where acks go round: there would be neither room for
 * them nor a spare for the cleaner, for ever. */
TEST(clean, what_it_has_replaced_is_free_for_puts_when_the_manifest_says_so_and_not_before)
{
    struct log_rig *r = replaced();
    assert_false(log_rig_append(r, JOURNAL_PUT, true, true));
    assert_int_equal(journal_refusal(r->journal), LEAT_NO_SPACE);
    while (r->journal->ledger.durable < r->journal->clean.version)
        log_rig_step(r, duration_us(1));
    assert_true(log_rig_append(r, JOURNAL_PUT, true, true));
    log_rig_free(r);
}

TEST(clean, a_crash_before_the_manifest_knows_of_it_leaves_acks_their_room)
{
    struct log_rig *r = replaced();
    while (log_rig_append(r, JOURNAL_PUT, true, true)) {
    }
    log_rig_end(r, false);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    assert_int_equal(journal_counters(r->journal).cleaned_segments, 0);
    assert_int_equal(journal_counters(r->journal).keep_segments, 0);
    for (uint64_t i = r->replayed_from + 1; i <= r->replayed; i++) { /* the image knows of the others */
        journal_pin(r->journal, lsn_block(r->lsn[i]), log_rig_size(i));
        r->pinned[i] = true;
    }
    acks_go_round(r);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

/* The same of a checkpoint: it has freed segments in memory alone. */
TEST(clean, a_crash_before_the_manifest_knows_of_a_checkpoint_leaves_starts_their_room)
{
    struct log_rig *r = filled();
    while (log_rig_append(r, JOURNAL_ACK, true, false))
        log_rig_step(r, duration_ms(1));
    assert_int_equal(journal_counters(r->journal).free_segments, 0);
    for (uint64_t i = 1; i <= r->appended; i++)
        if (r->pinned[i])
            log_rig_unpin(r, i);
    assert_true(log_rig_begin(r));
    assert_true(log_rig_feed(r));
    const struct checkpoint *c = &r->journal->checkpoint;
    for (unsigned i = 0; i < 10000 && c->state != CHECKPOINT_PUBLISHING; i++) {
        if (c->state == CHECKPOINT_FLUSHING)
            ledger_change(r->journal);
        log_rig_step(r, duration_us(1));
    }
    assert_int_equal(c->state, CHECKPOINT_PUBLISHING);
    assert_true(r->journal->ledger.started < c->version);
    while (log_rig_append(r, JOURNAL_ACK, true, false) || log_rig_append(r, JOURNAL_PUT, true, false)) {
    }
    log_rig_end(r, false);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    assert_true(journal_counters(r->journal).free_segments == 0);
    assert_true(log_rig_append(r, JOURNAL_START, true, false));
    r->cleans = true;
    acks_go_round(r);
    log_rig_free(r);
}

TEST(clean, a_directory_page_is_believed_only_as_what_it_is)
{
    uint8_t page[DISK_BLOCK] = {0};
    struct keep_entry e;
    const struct keep_page good = {.cluster = 7, .first = 10, .last = 90, .incarnation = 3, .pages = 1, .entries = 100};
    for (uint32_t i = 0; i < good.entries; i++)
        keep_put(page, i, &(struct keep_entry){lsn_make(10 + i / 2, i % 2), 512 + 10 * i, 10});
    keep_seal(page, &good);
    struct keep_page p = {.cluster = 7, .first = 10, .incarnation = 3};
    assert_true(keep_open(&p, page));
    assert_int_equal(p.last, 90);
    assert_int_equal(p.entries, 100);
    assert_true(keep_find(page, 100, lsn_make(15, 1), &e));
    assert_int_equal(e.offset8, 512 + 10 * 11);
    assert_false(keep_find(page, 100, lsn_make(15, 2), &e));
    assert_false(keep_find(page, 100, lsn_make(9, 0), &e));
    assert_false(keep_find(page, 100, lsn_make(95, 0), &e));
    for (unsigned field = 0; field < 6; field++) {
        struct keep_page wrong = {.cluster = 7 + (field == 0),
                                  .first = 10 + (field == 1),
                                  .last = field == 2 ? 91 : 0,
                                  .incarnation = 3 + (field == 3),
                                  .number = field == 4,
                                  .pages = field == 5 ? 2 : 0};
        assert_false(keep_open(&wrong, page));
    }
    for (uint32_t byte = 0; byte < DISK_BLOCK; byte++) {
        page[byte] ^= 0x20;
        p = (struct keep_page){.cluster = 7, .first = 10, .incarnation = 3};
        assert_false(keep_open(&p, page));
        page[byte] ^= 0x20;
    }
}

/* What was replaced while somebody read it is a spare with a read under way. */
TEST(clean, a_spare_that_is_still_being_read_is_not_written)
{
    struct log_rig *r = made(20, 4);
    traffic(r, 40);
    struct segments *t = &r->journal->segments;
    for (unsigned i = 0; i < 100; i++)
        log_rig_step(r, duration_ms(1));
    for (uint32_t i = t->log_count; i < t->total; i++)
        segment_at(r->journal, i)->reads = 1;
    uint32_t entered = t->log_count, spares = t->total - t->log_count;
    assert_true(spares > 0);
    t->max = t->total; /* no other can be made */
    assert_false(segment_lends(r->journal));
    for (unsigned i = 0; i < 200; i++) {
        log_rig_append(r, JOURNAL_ACK, true, false);
        log_rig_step(r, duration_ms(1));
    }
    assert_int_equal(t->log_count, entered);
    assert_false(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_int_equal(journal_refusal(r->journal), LEAT_OVERLOADED);
    for (uint32_t i = t->log_count; i < t->total; i++)
        segment_at(r->journal, i)->reads = 0;
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    assert_int_equal(t->log_count, entered + 1);
    log_rig_free(r);
}
