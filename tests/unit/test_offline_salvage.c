/* test_offline_salvage.c - after a salvage every message that is whole and was not acknowledged is there, and none that
 * was acknowledged where the log can show it; also when the salvage itself was cut short. */
#include "offline_stage.h"

TEST(offline, a_directory_of_any_history_is_sound_and_needs_no_salvage)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        work(seed, seed % 2);
        if (check(false) != LEAT_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, said);
        assert_int_equal(mend(), LEAT_EMPTY);
        drain();
        expect_all_that_lives();
        work_end();
    }
}

/* After a salvage: what is whole and was not acknowledged has come, once; what has come twice or again had a reason. */
static void expect_salvaged(bool rotten, unsigned *again, unsigned *lost, const bool *whole)
{
    for (unsigned n = 0; n < messages; n++) {
        if (!memory[n].acked && memory[n].came == 0) {
            assert_false(whole[n]);
            (*lost)++;
        }
        if (memory[n].acked && memory[n].came > 0) {
            assert_true(rotten);
            (*again)++;
        }
        assert_true(memory[n].came <= 1);
    }
}

static bool is_kept(struct lsn lsn)
{
    for (uint64_t i = 0; i < scan.kept_count; i++)
        if (scan.kept[i] == lsn.n)
            return true;
    return false;
}

static void remember_whole(bool *whole)
{
    look();
    for (unsigned n = 0; n < messages; n++)
        whole[n] = block_is_whole(lsn_block(memory[n].lsn)) || is_kept(memory[n].lsn);
    look_away();
}

TEST(offline, a_salvage_brings_back_every_message_that_is_whole)
{
    unsigned salvaged = 0, again = 0, lost = 0, acked = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static bool whole[MESSAGES];
        char name[DISK_NAME_MAX];
        uint64_t offset;
        work(seed % 5 + 1, false);
        prng = prng_seed(seed, 4);
        strike_block(name, &offset, seed % 2);
        remember_whole(whole);
        bool rotten = refused();
        enum leat_status status = mend();
        assert_true(status == LEAT_OK || (status == LEAT_EMPTY && !rotten));
        salvaged += status == LEAT_OK;
        assert_false(refused());
        drain();
        expect_salvaged(rotten, &again, &lost, whole);
        for (unsigned n = 0; n < messages; n++)
            acked += memory[n].acked;
        assert_int_equal(mend(), LEAT_EMPTY);
        work_end();
    }
    assert_true(salvaged >= 10);
    assert_true(lost > 0);
    assert_true(again * 20 < acked); /* few acks are forgotten: those in the hole, and of leases in it */
}

TEST(offline, a_whole_block_in_the_wrong_place_hides_no_other)
{
    static bool whole[MESSAGES];
    static uint8_t page[4096];
    unsigned again = 0, lost = 0;
    char name[DISK_NAME_MAX];
    work(4, false);
    look();
    uint64_t end = judge.offset;
    source_segment_name(name, scan.segments[judge.segment].number);
    look_away();
    assert_true(fake_disk_peek(stage->disk, name, 0, page, sizeof page));
    assert_true(fake_disk_poke(stage->disk, name, end - 3 * 4096, page, sizeof page));
    assert_int_equal(check(false), LEAT_CORRUPT);
    assert_true(refused());
    assert_int_equal(mend(), LEAT_OK);
    remember_whole(whole);
    drain();
    expect_salvaged(true, &again, &lost, whole);
    assert_true(lost <= 3);
    work_end();
}

/* A salvage is cut short after so many events of the disk. The first run is whole and counts them; then come the last
 * `of` before it reads again what it has written, by steps: reading comes first and takes most. */
#define UNCUT UINT64_MAX
struct cuts {
    uint64_t of, step, cut, events;
};

static void next_cut(struct cuts *c)
{
    uint64_t first = c->events > c->of ? c->events - c->of : 1;
    c->cut = c->cut == UNCUT ? first : c->cut + c->step;
}

/* Cut short, done again, and a third one has nothing to do. */
static void mend_twice(struct cuts *c)
{
    uint64_t before = fake_disk_events(stage->disk);
    if (c->cut != UNCUT)
        fake_disk_die(stage->disk, c->cut);
    mend();
    if (c->cut == UNCUT)
        c->events = fake_disk_events(stage->disk) - before;
    fake_disk_crash(stage->disk);
    before = fake_disk_events(stage->disk);
    enum leat_status second = mend();
    if (c->cut == UNCUT)
        c->of += fake_disk_events(stage->disk) - before;
    assert_true(second == LEAT_OK || second == LEAT_EMPTY);
    assert_int_equal(mend(), LEAT_EMPTY);
}

/* The disk leads one of its writes astray: whatever it says of itself, a start agrees. */
TEST(offline, a_salvage_says_that_the_directory_starts_again_when_it_does)
{
    unsigned found = 0, whole = 0;
    for (uint32_t at = 1; at <= 40; at++) {
        char name[DISK_NAME_MAX];
        uint64_t offset;
        work(4, false);
        prng = prng_seed(9, 5);
        assert_true(strike_block(name, &offset, true));
        fake_disk_misdirect(stage->disk, at);
        enum leat_status status = mend();
        fake_disk_misdirect(stage->disk, 0);
        assert_true(status != LEAT_EMPTY);
        if (status == LEAT_OK)
            assert_false(refused());
        whole += status == LEAT_OK;
        found += strstr(mend_error, "is not sound") != NULL;
        work_end();
    }
    assert_true(whole > 0 && found > 0);
}

TEST(offline, a_salvage_that_is_cut_short_is_done_again)
{
    for (struct cuts c = {.of = 70, .step = 1, .cut = UNCUT}; c.cut == UNCUT || c.cut <= c.events; next_cut(&c)) {
        static bool whole[MESSAGES];
        char name[DISK_NAME_MAX];
        uint64_t offset;
        unsigned again = 0, lost = 0;
        work(4, false);
        prng = prng_seed(9, 5);
        assert_true(strike_block(name, &offset, true));
        remember_whole(whole);
        assert_true(refused());
        mend_twice(&c);
        if (check(false) != LEAT_OK)
            fail_msg("cut %llu: %s", (unsigned long long)c.cut, said);
        drain();
        expect_salvaged(true, &again, &lost, whole);
        work_end();
    }
    assert_true(mark_count("salvage_again") > 10);
}

static void lose_manifest(void)
{
    poke_byte("manifest", 100);
    poke_byte("manifest", 65536 + 100);
}

TEST(offline, a_salvage_without_a_manifest_that_is_cut_short_is_done_again)
{
    for (struct cuts c = {.of = 40, .step = 3, .cut = UNCUT}; c.cut == UNCUT || c.cut <= c.events; next_cut(&c)) {
        work(4, false);
        lose_manifest();
        mend_twice(&c);
        assert_int_equal(check(false), LEAT_OK);
        drain();
        expect_all_that_lives();
        work_end();
    }
}

/* A marker names segments by number, and later ones have higher numbers. */
TEST(offline, the_marker_of_an_old_salvage_costs_no_segment)
{
    static uint8_t marker[4096] = "leat slv\1\0\0\0\1\0\0\0";
    for (unsigned started = 0; started < 2; started++) {
        work(2, true);
        marker[12] = started ? 1 : 200; /* a start that made blocks; none */
        assert_true(fake_disk_copy(stage->disk, "checkpoint-0", "salvaging"));
        assert_true(fake_disk_poke(stage->disk, "salvaging", 0, marker, sizeof marker));
        if (started)
            drain();
        assert_int_equal(fake_disk_size_of(stage->disk, "salvaging") >= 0, !started);
        lose_manifest();
        assert_int_equal(mend(), LEAT_OK);
        drain();
        expect_all_that_lives();
        work_end();
    }
}

TEST(offline, a_lost_manifest_costs_receipts_and_no_message)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        work(seed, seed % 2);
        lose_manifest();
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, "neither copy is whole"));
        assert_true(refused());
        assert_int_equal(mend(), LEAT_OK);
        assert_non_null(strstr(said, "the key of receipts is lost"));
        assert_int_equal(check(false), LEAT_OK);
        look();
        assert_int_equal(source.m.copied, 1); /* it may have been a backup: ids leap at the next start */
        look_away();
        drain();
        expect_all_that_lives();
        work_end();
    }
}

TEST(offline, a_lost_checkpoint_costs_nothing_while_the_one_before_still_serves)
{
    unsigned other = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        char name[DISK_NAME_MAX];
        work(seed, false);
        look();
        snprintf(name, sizeof name, "checkpoint-%u", source.m.checkpoint_area);
        look_away();
        poke_byte(name, 5000);
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, name));
        assert_true(refused());
        uint64_t before = mark_count("salvage_other_checkpoint");
        assert_int_equal(mend(), LEAT_OK);
        bool exact = mark_count("salvage_other_checkpoint") > before;
        assert_int_equal(check(false), LEAT_OK);
        drain();
        for (unsigned n = 0; n < messages; n++) {
            assert_true(memory[n].acked || memory[n].came == 1);
            assert_true(!memory[n].acked || memory[n].came == 0 || !exact);
        }
        other += exact;
        work_end();
    }
    assert_true(other > 0);
}

/* -- beside keep segments -- */

enum { CROWD = 192, CROWD_WAVE = 6 };

/* The first messages stand close together and live: the cleaner keeps survivors of what comes behind, and lets that
 * segment be. */
static void work_crowd(void)
{
    for (unsigned i = 0; i < CROWD; i++) {
        send_put(++stage->number, body_of(messages + i % CROWD_WAVE), 1, duration_s(30));
        if (i % CROWD_WAVE < CROWD_WAVE - 1)
            continue;
        pass(duration_ms(20));
        for (unsigned k = 0; k < CROWD_WAVE; k++) {
            struct frame_op op;
            struct reply_run run;
            uint32_t offset = 0;
            assert_int_equal(answer(&op), LEAT_OK);
            assert_true(reply_next_run(&op, &offset, &run));
            memory[messages++] = (struct message_memory){.lsn = run.lsn, .epoch = run.epoch, .put = true};
        }
    }
}

/* Whether a log segment stands before one that the cleaner has made. */
static bool kept_behind_log(void)
{
    bool log = false, behind = false;
    look();
    for (uint32_t i = 0; i < scan.segments_count; i++) {
        log |= !scan.segments[i].keep;
        behind |= log && scan.segments[i].keep;
    }
    look_away();
    return behind;
}

TEST(offline, without_a_checkpoint_messages_come_from_the_log_and_from_what_is_kept_behind_it)
{
    unsigned behind = 0;
    work_first = work_crowd;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static bool whole[MESSAGES];
        unsigned again = 0, lost = 0;
        work(seed, seed % 2);
        behind += kept_behind_log();
        remember_whole(whole);
        poke_byte("checkpoint-0", 5000);
        poke_byte("checkpoint-1", 5000);
        if (seed % 4 == 0)
            lose_manifest();
        assert_int_equal(mend(), LEAT_OK);
        assert_false(refused());
        drain();
        expect_salvaged(true, &again, &lost, whole);
        work_end();
    }
    work_first = NULL;
    assert_true(behind >= 4);
}

/* Spares that the log has not come to: what they once held is replaced, and the disk may have lost it. */
static unsigned lose_spares(void)
{
    char names[32][DISK_NAME_MAX];
    unsigned count = 0;
    look();
    for (uint32_t i = 0; i < scan.segments_count; i++)
        if (scan.segments[i].listed_first == 0 && scan.segments[i].runs == 0 && count < 32)
            source_segment_name(names[count++], scan.segments[i].number);
    look_away();
    for (unsigned i = 0; i < count; i++)
        assert_true(fake_disk_lose(stage->disk, names[i]));
    return count;
}

TEST(offline, a_lost_manifest_costs_nothing_that_is_kept_in_the_place_of_what_the_checkpoint_names)
{
    unsigned kept = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        work_first = seed % 2 ? work_crowd : NULL;
        work(seed, seed % 3 == 0);
        look();
        for (uint32_t i = 0; i < scan.segments_count; i++)
            kept += scan.segments[i].keep;
        look_away();
        if (seed % 4 < 2)
            lose_spares();
        lose_manifest();
        assert_int_equal(mend(), LEAT_OK);
        assert_false(refused());
        drain();
        expect_all_that_lives();
        work_end();
    }
    work_first = NULL;
    assert_true(kept > 10);
}

TEST(offline, a_state_from_before_what_is_kept_ends_there)
{
    unsigned behind = 0, over = 0;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        static bool whole[MESSAGES];
        unsigned again = 0, lost = 0;
        char name[DISK_NAME_MAX];
        uint64_t was = mark_count("judge_keep_behind"), over_was = mark_count("judge_keep_over_position");
        work_first = seed % 2 ? work_crowd : NULL;
        work(seed, seed % 4 < 2);
        remember_whole(whole);
        look();
        snprintf(name, sizeof name, "checkpoint-%u", source.m.checkpoint_area);
        look_away();
        poke_byte(name, 5000);
        assert_int_equal(mend(), LEAT_OK);
        assert_false(refused());
        drain();
        expect_salvaged(true, &again, &lost, whole);
        behind += mark_count("judge_keep_behind") > was;
        over += mark_count("judge_keep_over_position") > over_was;
        work_end();
    }
    work_first = NULL;
    assert_true(behind > 0);
    assert_true(over > 0);
}

TEST(offline, a_lost_segment_is_told_and_costs_what_stood_in_it)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static bool whole[MESSAGES];
        unsigned again = 0, lost = 0;
        char name[DISK_NAME_MAX];
        work(seed, false);
        look();
        source_segment_name(name, scan.segments[seed % scan.segments_count].number);
        look_away();
        assert_true(fake_disk_lose(stage->disk, name));
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, name));
        remember_whole(whole);
        assert_true(refused());
        assert_int_equal(mend(), LEAT_OK);
        assert_int_equal(mend(), LEAT_EMPTY);
        assert_false(refused());
        drain();
        expect_salvaged(true, &again, &lost, whole);
        work_end();
    }
    assert_true(mark_count("salvage_keep_written_anew") > 0); /* some were of the cleaner */
}

TEST(offline, no_new_segment_takes_the_name_of_a_lost_one)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        char name[DISK_NAME_MAX];
        uint32_t number = 0;
        work(seed, false);
        look();
        for (uint32_t i = 0; i < scan.segments_count; i++) /* that of the position stays in the list */
            if (scan.segments[i].listed_first > 0 && scan.segments[i].listed_first <= point.block)
                number = scan.segments[i].number;
        look_away();
        for (uint32_t n = number; n < 100; n++) {
            source_segment_name(name, n);
            assert_true(fake_disk_size_of(stage->disk, name) < 0 || fake_disk_lose(stage->disk, name));
        }
        assert_int_equal(mend(), LEAT_OK);
        look();
        for (uint32_t i = 0; i < scan.segments_count; i++)
            for (uint32_t k = 0; k < i; k++)
                assert_true(scan.segments[i].number != scan.segments[k].number);
        look_away();
        assert_false(refused());
        work_end();
    }
}

TEST(offline, a_segment_of_nobody_is_put_aside)
{
    char name[DISK_NAME_MAX];
    work(2, true);
    look();
    source_segment_name(name, scan.segments[judge.segment].number);
    look_away();
    assert_true(fake_disk_copy(stage->disk, name, "log-00000099"));
    assert_int_equal(check(false), LEAT_CORRUPT);
    assert_non_null(strstr(said, "log-00000099: it holds blocks, but the manifest does not list it"));
    assert_true(refused());
    assert_int_equal(mend(), LEAT_OK);
    assert_int_equal(check(false), LEAT_OK);
    assert_non_null(strstr(said, "-log-00000099: put aside"));
    drain();
    expect_all_that_lives();
    work_end();
}

TEST(offline, a_backup_that_did_not_end_is_told_from_a_lost_manifest)
{
    static uint8_t left[2 * 65536] = "This backup has not ended.\n";
    work(2, true);
    assert_true(fake_disk_poke(stage->disk, "manifest", 0, left, sizeof left));
    for (unsigned emptied = 0; emptied < 2; emptied++) {
        char name[DISK_NAME_MAX];
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_non_null(strstr(said, "the directory is a backup that did not end: take another one"));
        assert_true(refused());
        assert_int_equal(mend(), LEAT_CORRUPT);
        for (uint32_t number = 1; number < 100; number++) {
            source_segment_name(name, number);
            assert_true(fake_disk_size_of(stage->disk, name) < 0 || fake_disk_lose(stage->disk, name));
        }
    }
    work_end();
}

/* -- capacities -- */

static void few_leases(struct salvage_options *o)
{
    o->engine.slots /= 2;
}

static void many_leases(struct salvage_options *o)
{
    o->engine.slots *= 2;
}

TEST(offline, capacities_of_a_salvage_are_those_of_the_directory_or_larger_and_then_it_needs_them)
{
    char name[DISK_NAME_MAX];
    uint64_t offset;
    work(4, false);
    prng = prng_seed(9, 5);
    assert_true(strike_block(name, &offset, true));
    mend_with = few_leases;
    assert_int_equal(mend(), LEAT_BAD_VALUE);
    assert_non_null(strstr(mend_error, "leases_max is smaller than what this data directory was used with"));
    assert_non_null(strstr(mend_error, "4096 at least"));
    mend_with = many_leases;
    assert_int_equal(mend(), LEAT_OK);
    mend_with = NULL;
    look();
    assert_int_equal(point.engine.slots.capacity, 8192);
    look_away();
    work_end();
}
