/* test_recovery.c - what a restart makes of damage: torn tails, rot, recycled bytes, files that are lost or too many.
 */
#include "byteorder.h"
#include "crc32c.h"
#include "damage.h"
#include "log.h"
#include "log_rig.h"
#include "manifest.h"
#include "mark.h"
#include "must.h"
#include "record.h"
#include "test.h"

static const struct duration us100 = {100000};

TEST(recovery, a_torn_tail_is_truncated_counted_and_erased)
{
    struct log_rig *r = damage_written(1, false);
    struct damage_place last = damage_locate(r, 40);
    damage_flip(r, last.name, last.offset + last.size - 1);
    r->durable = 39; /* nobody can know that it was durable: no block says so */
    damage_opens_with(r, 39);
    assert_int_equal(journal_counters(r->journal).torn_tails, 1);
    uint8_t head[8];
    assert_true(fake_disk_peek(r->disk, last.name, last.offset, head, 8));
    assert_int_equal(le64_get(head), 0);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    log_rig_end(r, true);
    damage_opens_with(r, 40);
    assert_int_equal(journal_counters(r->journal).torn_tails, 0);
    log_rig_free(r);
}

TEST(recovery, a_block_that_some_block_calls_durable_is_rot_and_the_range_is_exact)
{
    for (uint64_t number = 1; number <= 40; number += 3) {
        for (unsigned kind = 0; kind < 4; kind++) {
            struct log_rig *r = damage_written(2, true);
            struct damage_place p = damage_locate(r, number), other = damage_locate(r, number == 20 ? 21 : 20);
            if (kind == 0)
                damage_flip(r, p.name, p.offset + 30);
            else if (kind == 1)
                damage_flip(r, p.name, p.offset + p.size - 1);
            else if (kind == 2)
                damage_zero(r, p.name, p.offset, p.size);
            else
                damage_copy(r, &other, &p); /* misdirected */
            char words[128];
            snprintf(words, sizeof words, "%s, bytes %llu..", p.name, (unsigned long long)p.offset);
            damage_refused(r, LEAT_CORRUPT, words);
            snprintf(words, sizeof words, "block %llu is damaged", (unsigned long long)number);
            damage_refused(r, LEAT_CORRUPT, words);
            assert_true(mark_count("rot_refused") > 0);
            log_rig_free(r);
        }
    }
}

/* Blocks 41, 42 and 43 in flight together: each says that 40 is durable. */
static struct log_rig *three_in_flight(void)
{
    struct log_rig *r = damage_written(3, true);
    fake_disk_create_fail(r->disk,
                          1000); /* no segment is made, or a manifest written that lists the next one's block */
    damage_opens_with(r, 40);
    for (unsigned k = 0; k < 3; k++) {
        struct lsn lsn;
        while (log_rig_append(r, JOURNAL_ACK, false, false) &&
               lsn_block(r->lsn[r->appended]) < journal_durable(r->journal) + 2 + k)
            ;
        (void)lsn;
    }
    log_rig_step(r, duration_ms(5));
    assert_true(log_rig_settle(r));
    return r;
}

TEST(recovery, whole_blocks_behind_a_torn_one_that_were_in_flight_with_it_are_dropped_for_good)
{
    struct log_rig *r = three_in_flight();
    uint64_t first = 0, last = journal_appended(r->journal);
    uint8_t head[RECORD_HEADER];
    log_rig_end(r, true);
    /* the first block of this life that says that only those before it are durable */
    for (uint64_t b = 41; b <= last && !first; b++) {
        struct damage_place p = damage_locate(r, b);
        assert_true(fake_disk_peek(r->disk, p.name, p.offset, head, sizeof head));
        if (le32_get(head + 52) > 0)
            first = b;
    }
    struct damage_place p = damage_locate(r, first), next = damage_locate(r, first + 1);
    assert_true(fake_disk_peek(r->disk, next.name, next.offset, head, sizeof head));
    assert_true(le64_get(head + 32) < first);
    damage_flip(r, p.name, p.offset + p.size - 1);
    r->durable = 40;
    damage_opens_with(r, 40);
    assert_true(mark_count("block_behind_tear") > 0);
    assert_int_equal(journal_counters(r->journal).torn_tails, 1);
    assert_true(fake_disk_peek(r->disk, next.name, next.offset, head, sizeof head));
    assert_int_equal(le64_get(head), 0);
    log_rig_end(r, true);
    damage_opens_with(r, 40);
    log_rig_free(r);
}

/* The log goes on in the next segment only where a block has no room: one that went astray must not lead it there, past
 * those behind its own place. */
TEST(recovery, a_block_that_went_astray_to_the_start_of_the_next_segment_is_not_followed)
{
    struct log_rig *r = damage_written(34, true);
    damage_opens_with(r, 40);
    struct segment next = *segment_at(r->journal, r->journal->segments.log_count);
    log_rig_end(r, true);
    assert_int_equal(next.first, 0);
    uint64_t number = 39;
    while (damage_locate(r, number).size != DISK_BLOCK)
        number--;
    struct damage_place p = damage_locate(r, number), behind = damage_locate(r, number + 1), astray = {.offset = 0};
    assert_string_equal(p.name, behind.name);
    segment_name(astray.name, next.name);
    damage_copy(r, &p, &astray);
    damage_zero(r, p.name, p.offset, p.size);
    char words[64];
    snprintf(words, sizeof words, "block %llu is damaged", (unsigned long long)number);
    damage_refused(r, LEAT_CORRUPT, words);
    assert_true(mark_count("block_astray") > 0);
    log_rig_free(r);
}

TEST(recovery, an_end_in_recycled_bytes_is_an_end_and_not_a_tear)
{
    struct fake_disk_config disk = {.seed = 4, .durable_writes = true};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    mark_reset();
    assert_int_equal(log_rig_open(r), LEAT_OK);
    for (unsigned i = 0; i < 300; i++) {
        while (!log_rig_append(r, JOURNAL_ACK, true, false))
            log_rig_step(r, us100);
        assert_true(log_rig_settle(r));
        if (i % 20 == 19) {
            assert_true(log_rig_checkpoint(r));
            while (fake_disk_under_way(r->disk) > 0)
                log_rig_step(r, us100);
            log_rig_end(r, true);
            damage_opens_with(r, r->appended);
            assert_int_equal(journal_counters(r->journal).torn_tails, 0);
        }
    }
    assert_true(mark_count("segment_recycled") > 5);
    log_rig_free(r);
}

TEST(recovery, lost_cut_doubled_and_exchanged_segments_are_refused)
{
    struct log_rig *r = damage_written(5, true);
    struct damage_place p = damage_locate(r, 20), q = damage_locate(r, 1);
    assert_string_not_equal(p.name, q.name);
    assert_true(fake_disk_copy(r->disk, p.name, "log-00000077"));
    damage_refused(r, LEAT_CORRUPT, "log-00000077 holds blocks");
    assert_true(fake_disk_lose(r->disk, "log-00000077"));
    assert_true(fake_disk_copy(r->disk, q.name, "keep"));
    assert_true(fake_disk_lose(r->disk, q.name));
    damage_refused(r, LEAT_CORRUPT, "is missing");
    assert_true(fake_disk_copy(r->disk, p.name, q.name)); /* another one under its name */
    damage_refused(r, LEAT_CORRUPT, "block 1 is damaged or missing");
    assert_true(fake_disk_lose(r->disk, q.name));
    assert_true(fake_disk_copy(r->disk, "keep", q.name));
    damage_opens_with(r, 40);
    log_rig_end(r, true);
    assert_true(fake_disk_cut(r->disk, p.name, 8192));
    damage_refused(r, LEAT_CORRUPT, "it was cut");
    log_rig_free(r);
}

/* Four segments, as many as there may be, so that the manifest has not changed since the log came to the third; each is
 * larger than the distance at which blocks in flight are looked for. */
static struct log_rig *four_segments(void)
{
    struct fake_disk_config disk = {.seed = 31, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.segment_bytes = 256 * 1024;
    config.disk_max = 4 * config.segment_bytes;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    while (r->journal->segments.log_count < 4) {
        assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_true(log_rig_settle(r));
    }
    log_rig_end(r, true);
    return r;
}

TEST(recovery, a_segment_that_was_exchanged_is_refused_when_only_the_start_of_the_next_one_speaks_of_it)
{
    struct log_rig *r = four_segments();
    assert_true(fake_disk_copy(r->disk, "log-00000003", "keep"));
    assert_true(fake_disk_lose(r->disk, "log-00000003"));
    assert_true(fake_disk_copy(r->disk, "log-00000002", "log-00000003"));
    damage_refused(r, LEAT_CORRUPT, "is damaged or missing, and blocks up to");
    assert_true(fake_disk_lose(r->disk, "log-00000003"));
    assert_true(fake_disk_copy(r->disk, "keep", "log-00000003"));
    assert_true(fake_disk_lose(r->disk, "keep"));
    damage_opens_with(r, r->appended);
    log_rig_free(r);
}

TEST(recovery, an_empty_segment_that_nobody_lists_is_removed)
{
    struct log_rig *r = damage_written(6, true);
    int file = disk_create(r->disk, "log-00000050", 65536);
    assert_true(file >= 0);
    disk_close(r->disk, (uint32_t)file);
    disk_sync_directory(r->disk);
    damage_opens_with(r, 40);
    assert_int_equal(disk_open(r->disk, "log-00000050"), -2);
    log_rig_free(r);
}

TEST(recovery, a_start_that_is_refused_has_changed_nothing)
{
    struct log_rig *r = damage_written(18, true);
    struct damage_place p = damage_locate(r, 40);
    int file = disk_create(r->disk, "log-00000050", 65536);
    assert_true(file >= 0);
    disk_close(r->disk, (uint32_t)file);
    disk_sync_directory(r->disk);
    damage_flip(r, p.name, p.offset);
    damage_refused(r, LEAT_CORRUPT, "block 40 is damaged");
    damage_flip(r, p.name, p.offset);
    assert_true(fake_disk_copy(r->disk, "log-00000050", "kept")); /* it is still there */
    damage_opens_with(r, 40);
    assert_int_equal(disk_open(r->disk, "log-00000050"), -2);
    log_rig_free(r);
}

TEST(recovery, a_name_that_only_begins_like_a_segment_is_left_alone)
{
    static const char *const names[] = {"log-notes", "log-7", "log-00000000", "log-00000050.txt", "log-99999999999"};
    static const uint8_t text[] = "what I did today";
    struct log_rig *r = damage_written(19, true);
    for (unsigned i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
        bool empty = i % 2;
        int file = disk_create(r->disk, names[i / 2], DISK_BLOCK);
        assert_true(file >= 0);
        disk_close(r->disk, (uint32_t)file);
        if (!empty)
            assert_true(fake_disk_poke(r->disk, names[i / 2], 0, text, sizeof text));
        disk_sync_directory(r->disk);
        damage_opens_with(r, 40);
        log_rig_end(r, true);
        assert_true(fake_disk_lose(r->disk, names[i / 2])); /* it is still there */
    }
    log_rig_free(r);
}

TEST(recovery, unknown_formats_are_too_new)
{
    struct log_rig *r = damage_written(9, true);
    struct damage_place p = damage_locate(r, 10);
    uint8_t head[RECORD_HEADER], copy[MANIFEST_BYTES] = {0};
    assert_true(fake_disk_peek(r->disk, p.name, p.offset, head, sizeof head));
    le32_put(head + 8, RECORD_FORMAT + 1);
    le32_put(head + 76, crc32c(0, head, 76));
    assert_true(fake_disk_poke(r->disk, p.name, p.offset, head, sizeof head));
    damage_refused(r, LEAT_TOO_NEW, "block 10 was written by a newer version");
    for (unsigned i = 0; i < 2; i++) {
        assert_true(fake_disk_peek(r->disk, "manifest", i * MANIFEST_BYTES, copy, sizeof copy));
        le32_put(copy + 8, MANIFEST_FORMAT + 1);
        le32_put(copy + 12, 0);
        le32_put(copy + 12, crc32c(0, copy, sizeof copy));
        assert_true(fake_disk_poke(r->disk, "manifest", i * MANIFEST_BYTES, copy, sizeof copy));
    }
    damage_refused(r, LEAT_TOO_NEW, "the manifest was written by a newer version");
    log_rig_free(r);
}

TEST(recovery, a_sector_that_cannot_be_read_is_refused_by_its_range)
{
    struct log_rig *r = damage_written(10, true);
    struct damage_place p = damage_locate(r, 30);
    char words[128];
    assert_true(fake_disk_spoil(r->disk, p.name, p.offset));
    snprintf(words, sizeof words, "%s, bytes %llu..%llu cannot be read", p.name, (unsigned long long)p.offset,
             (unsigned long long)p.offset + 4095);
    damage_refused(r, LEAT_CORRUPT, words);
    log_rig_free(r);
}

TEST(recovery, a_damaged_checkpoint_is_refused_at_every_chunk)
{
    struct log_rig *r = damage_written(11, true);
    r->image_bytes = 200000;
    damage_opens_with(r, 40);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_checkpoint(r));
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    log_rig_end(r, true);
    damage_opens_with(r, 42);
    log_rig_end(r, true);
    for (uint64_t at = 4000; at < 210000; at += 30000) {
        damage_flip(r, "checkpoint-0", at);
        char words[64];
        snprintf(words, sizeof words, "checkpoint-0, bytes %llu..", (unsigned long long)(at / 65536 * 65536));
        damage_refused(r, LEAT_CORRUPT, words);
        damage_flip(r, "checkpoint-0", at);
    }
    damage_opens_with(r, 42);
    log_rig_end(r, true);
    assert_true(fake_disk_cut(r->disk, "checkpoint-0", 65536));
    damage_refused(r, LEAT_CORRUPT, "it was cut");
    assert_true(fake_disk_lose(r->disk, "checkpoint-0"));
    damage_refused(r, LEAT_CORRUPT, "is missing");
    log_rig_free(r);
}

TEST(recovery, an_older_checkpoint_in_the_area_is_not_taken_for_the_newest)
{
    struct log_rig *r = damage_written(12, true);
    damage_opens_with(r, 40);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
        assert_true(log_rig_checkpoint(r));
        if (i == 0)
            assert_true(fake_disk_copy(r->disk, "checkpoint-0", "old"));
    }
    log_rig_end(r, true);
    damage_opens_with(r, 43);
    log_rig_end(r, true);
    assert_true(fake_disk_lose(r->disk, "checkpoint-0"));
    assert_true(fake_disk_copy(r->disk, "old", "checkpoint-0"));
    damage_refused(r, LEAT_CORRUPT, "checkpoint-0, bytes 0..");
    log_rig_free(r);
}

TEST(recovery, a_restart_reads_the_checkpoint_and_the_tail_and_not_the_rest)
{
    struct fake_disk_config disk = {.seed = 13, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.segment_bytes = 1 << 20;
    config.disk_max = 64 << 20;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    while (journal_counters(r->journal).segments < 12) {
        while (!log_rig_append(r, JOURNAL_ACK, true, true))
            log_rig_step(r, us100);
        log_rig_step(r, us100);
    }
    assert_true(log_rig_checkpoint(r));
    assert_true(log_rig_settle(r));
    log_rig_end(r, true);
    uint64_t before = fake_disk_bytes_read(r->disk);
    damage_opens_with(r, r->appended);
    assert_in_range(fake_disk_bytes_read(r->disk) - before, 0, 4 << 20);
    log_rig_free(r);
}

/* Two bytes for each block: 33000 are more than a chunk, and too many for a golden directory. */
TEST(recovery, an_index_of_several_chunks_finds_every_body)
{
    struct fake_disk_config disk = {.seed = 14, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.segment_bytes = 4 << 20;
    config.disk_max = 1ull << 30;
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    while (journal_appended(r->journal) < 33000) {
        assert_true(log_rig_append(r, JOURNAL_PUT, true, true));
        assert_true(log_rig_settle(r));
    }
    assert_true(log_rig_checkpoint(r));
    assert_int_equal(r->journal->checkpoint.count, 3); /* one of the image, two of the index */
    log_rig_end(r, true);
    damage_opens_with(r, r->appended);
    assert_true(log_rig_check_bodies(r));
    log_rig_free(r);
}

/* Segments before the checkpoint, with living bodies, so that they stay. */
static struct log_rig *sealed(uint64_t seed, uint64_t entropy)
{
    struct fake_disk_config disk = {.seed = seed, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.entropy = entropy;
    struct log_rig *r = log_rig_make(&disk, &config);
    mark_reset();
    assert_int_equal(log_rig_open(r), LEAT_OK);
    while (journal_counters(r->journal).segments < 5) {
        while (!log_rig_append(r, JOURNAL_ACK, true, true))
            log_rig_step(r, us100);
        assert_true(log_rig_settle(r));
    }
    assert_true(log_rig_checkpoint(r));
    assert_true(log_rig_settle(r));
    log_rig_end(r, true);
    return r;
}

TEST(recovery, a_segment_that_no_restart_reads_must_still_begin_as_the_manifest_says)
{
    static uint8_t bytes[65536];
    struct log_rig *r = sealed(19, 5), *other = sealed(20, 6);
    for (unsigned kind = 0; kind < 3; kind++) {
        struct log_rig *from = kind == 0 ? r : other;
        assert_true(fake_disk_copy(r->disk, "log-00000001", "keep"));
        assert_true(fake_disk_peek(from->disk, kind == 0 ? "log-00000002" : "log-00000001", 0, bytes, sizeof bytes));
        if (kind == 2)
            memset(bytes, 0, sizeof bytes);
        assert_true(fake_disk_poke(r->disk, "log-00000001", 0, bytes, sizeof bytes));
        damage_refused(r, LEAT_CORRUPT,
                       "log-00000001, bytes 0..4095: block 1 is damaged or missing, and it was durable");
        assert_true(fake_disk_lose(r->disk, "log-00000001"));
        assert_true(fake_disk_copy(r->disk, "keep", "log-00000001"));
        assert_true(fake_disk_lose(r->disk, "keep"));
    }
    assert_true(mark_count("segment_head_refused") > 0);
    damage_opens_with(r, r->appended);
    log_rig_free(other);
    log_rig_free(r);
}

TEST(recovery, a_range_without_a_whole_block_behind_it_goes_as_far_as_the_damaged_one_could)
{
    struct log_rig *r = damage_written(21, true);
    uint64_t last = 40;
    struct damage_place p = damage_locate(r, last), q;
    for (; strcmp((q = damage_locate(r, last - 1)).name, p.name) == 0; last--)
        p = q; /* the first of the newest segment */
    char words[128];
    damage_flip(r, q.name, q.offset + q.size - 1); /* its header still says how long it is */
    snprintf(words, sizeof words, "%s, bytes %llu..%llu:", q.name, (unsigned long long)q.offset,
             (unsigned long long)(q.offset + q.size - 1));
    damage_refused(r, LEAT_CORRUPT, words);
    damage_flip(r, q.name, q.offset + 8);
    snprintf(words, sizeof words, "%s, bytes %llu..65535:", q.name, (unsigned long long)q.offset);
    damage_refused(r, LEAT_CORRUPT, words);
    log_rig_free(r);
}

static struct log_rig *of_another_directory(void)
{
    struct fake_disk_config disk = {.seed = 15, .durable_writes = true};
    struct journal_config config = log_rig_config();
    config.entropy = 6;
    struct log_rig *other = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(other), LEAT_OK);
    assert_true(log_rig_append(other, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(other));
    log_rig_end(other, true);
    return other;
}

TEST(recovery, segments_of_another_directory_are_refused)
{
    struct log_rig *r = damage_written(14, true);
    struct log_rig *other = of_another_directory();
    static uint8_t bytes[65536];
    assert_true(fake_disk_peek(other->disk, "log-00000001", 0, bytes, sizeof bytes));
    assert_true(fake_disk_poke(r->disk, "log-00000001", 0, bytes, sizeof bytes));
    damage_refused(r, LEAT_CORRUPT, "block 1 is damaged or missing");
    log_rig_free(other);
    log_rig_free(r);
}

/* The manifest does not know yet that the log has gone on there. */
TEST(recovery, a_segment_of_another_directory_is_named_where_the_log_has_just_entered_it)
{
    struct fake_disk_config disk = {.seed = 17, .durable_writes = true, .latency_min = us100, .latency_max = us100};
    struct journal_config config = log_rig_config();
    struct log_rig *r = log_rig_make(&disk, &config);
    assert_int_equal(log_rig_open(r), LEAT_OK);
    static uint8_t bytes[65536], page[DISK_BLOCK];
    const char *name = "log-00000002";
    for (unsigned i = 0; memcmp(page, "leat blk", 8) != 0; i++) {
        assert_true(i < 1000);
        while (!log_rig_append(r, JOURNAL_ACK, true, false))
            log_rig_step(r, us100);
        for (unsigned k = 0; k < 50 && r->durable < r->appended; k++)
            log_rig_step(r, us100);
        fake_disk_peek(r->disk, name, 0, page, sizeof page); /* false: it has not been made yet */
    }
    log_rig_end(r, true);
    struct log_rig *other = of_another_directory();
    assert_true(fake_disk_peek(other->disk, "log-00000001", 0, bytes, sizeof bytes));
    assert_true(fake_disk_poke(r->disk, name, 0, bytes, sizeof bytes));
    damage_refused(r, LEAT_CORRUPT, "log-00000002: block ");
    damage_refused(r, LEAT_CORRUPT, "is damaged or missing, and one of another data directory is there");
    log_rig_free(other);
    log_rig_free(r);
}

TEST(recovery, a_whole_block_that_names_another_hash_does_not_follow_and_is_rot_where_more_was_durable)
{
    struct log_rig *r = damage_written(16, true);
    struct damage_place p = damage_locate(r, 20);
    static uint8_t bytes[65536];
    assert_true(fake_disk_peek(r->disk, p.name, p.offset, bytes, p.size));
    struct record b = {.cluster = le64_get(bytes + 16), .incarnation = le32_get(bytes + 12), .number = 20};
    assert_int_equal(record_open(&b, bytes, p.size,
                                 &(struct record){.cluster = b.cluster, .incarnation = b.incarnation, .number = 20}),
                     RECORD_OK);
    b.previous ^= 1; /* and whole again, with checksums that match */
    record_seal(bytes, &b);
    assert_true(fake_disk_poke(r->disk, p.name, p.offset, bytes, p.size));
    damage_refused(r, LEAT_CORRUPT, "block 20 is damaged or missing");
    log_rig_free(r);
}
