/* test_recovery_manifest.c - what a restart makes of a damaged manifest: one copy of two, old, cut, forged. */
#include <stdio.h>

#include "byteorder.h"
#include "chunk.h"
#include "crc32c.h"
#include "damage.h"
#include "manifest.h"
#include "mark.h"
#include "test.h"

/* No disk does that, but somebody with an editor may. */
static void refused_with_checkpoint(struct log_rig *r, uint64_t block, uint64_t bytes, const char *words)
{
    static uint8_t copies[2 * MANIFEST_BYTES];
    struct manifest m;
    unsigned damaged;
    assert_true(fake_disk_peek(r->disk, "manifest", 0, copies, sizeof copies));
    assert_int_equal(manifest_decode(&m, copies, &damaged), LEAT_OK);
    m.checkpoint_block = block;
    m.checkpoint_bytes = bytes;
    manifest_encode(copies, &m);
    manifest_encode(copies + MANIFEST_BYTES, &m);
    assert_true(fake_disk_poke(r->disk, "manifest", 0, copies, sizeof copies));
    damage_refused(r, LEAT_CORRUPT, words);
}

TEST(recovery, a_whole_manifest_with_an_impossible_length_is_refused)
{
    struct log_rig *r = damage_written(33, true);
    refused_with_checkpoint(r, 0, DISK_BLOCK, "the manifest says that the checkpoint has 4096 bytes");
    refused_with_checkpoint(r, 1, DISK_BLOCK + 1, "the manifest says that the checkpoint has 4097 bytes");
    refused_with_checkpoint(r, 1, -(uint64_t)DISK_BLOCK, "18446744073709547520 are expected: it was cut");
    log_rig_free(r);
}

TEST(recovery, one_damaged_copy_of_the_manifest_is_survived_and_two_are_refused)
{
    for (unsigned i = 0; i < 2; i++) {
        struct log_rig *r = damage_written(7, true);
        damage_flip(r, "manifest", i * MANIFEST_BYTES + 70);
        damage_opens_with(r, 40);
        assert_int_equal(journal_epoch(r->journal), 2);
        log_rig_end(r, true);
        damage_opens_with(r, 40); /* both are whole again */
        log_rig_end(r, true);
        damage_flip(r, "manifest", 70);
        damage_flip(r, "manifest", MANIFEST_BYTES + 1100);
        damage_refused(r, LEAT_CORRUPT, "both copies of the manifest");
        damage_zero(r, "manifest", 0, 2 * MANIFEST_BYTES);
        damage_refused(r, LEAT_CORRUPT, "the manifest is missing or empty");
        assert_true(fake_disk_lose(r->disk, "manifest"));
        damage_refused(r, LEAT_CORRUPT, "the manifest is missing or empty");
        log_rig_free(r);
    }
}

TEST(recovery, a_manifest_that_was_cut_is_refused_as_such)
{
    struct log_rig *r = damage_written(17, true);
    assert_true(fake_disk_cut(r->disk, "manifest", MANIFEST_BYTES + 8192));
    damage_refused(r, LEAT_CORRUPT, "the manifest has 73728 bytes, 131072 are expected: it was cut");
    assert_true(fake_disk_cut(r->disk, "manifest", 0));
    damage_refused(r, LEAT_CORRUPT, "the manifest has 0 bytes");
    log_rig_free(r);
}

TEST(recovery, an_old_manifest_brought_back_is_noticed)
{
    struct log_rig *r = damage_written(8, true);
    assert_true(fake_disk_copy(r->disk, "manifest", "old"));
    damage_opens_with(r, 40);
    assert_true(log_rig_append(r, JOURNAL_ACK, true, false));
    assert_true(log_rig_settle(r));
    log_rig_end(r, true);
    assert_true(fake_disk_lose(r->disk, "manifest"));
    assert_true(fake_disk_copy(r->disk, "old", "manifest"));
    damage_refused(r, LEAT_CORRUPT, "is of epoch 2");
    log_rig_free(r);
}

TEST(recovery, a_file_of_a_later_life_than_the_manifest_knows_says_that_it_is_old)
{
    uint8_t head[RECORD_HEADER];
    struct log_rig *r = damage_written(34, true);
    assert_true(fake_disk_peek(r->disk, "log-00000001", 0, head, sizeof head));
    le32_put(head + 12, le32_get(head + 12) + 1); /* given back, and written again */
    le32_put(head + 76, crc32c(0, head, 76));
    assert_true(fake_disk_poke(r->disk, "log-00000001", 0, head, sizeof head));
    damage_refused(r, LEAT_CORRUPT, "of life 2 of this file, the manifest knows only 1: it is old");
    assert_true(mark_count("manifest_old") > 0);
    log_rig_free(r);
}

/* The first chunk of the index, which is the checkpoint's last chunk here, with another number in it, and all
 * checksums made good: no disk does that. Undone again. */
static void refused_with_index(struct log_rig *r, uint32_t at, uint16_t value)
{
    static uint8_t area[512 * 1024], copies[2 * MANIFEST_BYTES], was[2 * MANIFEST_BYTES];
    struct manifest m;
    unsigned damaged;
    char name[DISK_NAME_MAX];
    assert_true(fake_disk_peek(r->disk, "manifest", 0, was, sizeof was));
    assert_int_equal(manifest_decode(&m, was, &damaged), LEAT_OK);
    snprintf(name, sizeof name, "checkpoint-%u", m.checkpoint_area);
    assert_true(m.checkpoint_bytes <= sizeof area);
    assert_true(fake_disk_peek(r->disk, name, 0, area, m.checkpoint_bytes));
    uint8_t *p = area;
    while (le32_get(p + 12) != CHUNK_INDEX)
        p += chunk_disk_size(le32_get(p + 48));
    uint64_t offset = (uint64_t)(p - area);
    uint32_t size = chunk_disk_size(le32_get(p + 48));
    assert_int_equal(offset + size, m.checkpoint_bytes);
    le16_put(p + CHUNK_HEADER + at, value);
    le32_put(p + 52, crc32c(0, p + CHUNK_HEADER, size - CHUNK_HEADER));
    le32_put(p + 60, crc32c(0, p, 60));
    m.checkpoint_hash = chunk_hash(p);
    manifest_encode(copies, &m);
    manifest_encode(copies + MANIFEST_BYTES, &m);
    static uint8_t before[512 * 1024];
    assert_true(fake_disk_peek(r->disk, name, offset, before, size));
    assert_true(fake_disk_poke(r->disk, name, offset, p, size));
    assert_true(fake_disk_poke(r->disk, "manifest", 0, copies, sizeof copies));
    damage_refused(r, LEAT_CORRUPT, "its index does not match the manifest");
    assert_true(fake_disk_poke(r->disk, name, offset, before, size));
    assert_true(fake_disk_poke(r->disk, "manifest", 0, was, sizeof was));
}

TEST(recovery, an_index_of_the_log_that_no_log_could_have_is_refused)
{
    struct log_rig *r = damage_written(35, true);
    enum { TAIL = 8, FIRST_OFFSET = 24 + 24, SECOND_OFFSET = FIRST_OFFSET + 2 };
    damage_opens_with(r, 40);
    assert_true(log_rig_checkpoint(r));
    log_rig_end(r, true);
    refused_with_index(r, TAIL, 4097);
    refused_with_index(r, TAIL, 0);
    refused_with_index(r, FIRST_OFFSET, 1);
    refused_with_index(r, SECOND_OFFSET, 0);
    refused_with_index(r, SECOND_OFFSET, UINT16_MAX);
    damage_opens_with(r, 40);
    log_rig_free(r);
}

TEST(recovery, a_new_directory_on_a_full_disk_says_how_much_it_needs_and_how_much_is_free)
{
    struct journal_config config = log_rig_config();
    struct fake_disk_config small = {.capacity = 300 << 10};
    struct log_rig *r = log_rig_make(&small, &config);
    assert_int_equal(log_rig_open(r), LEAT_NO_SPACE);
    assert_string_equal(r->error,
                        "cannot make log-00000001: the disk is full: a new data directory needs 448K, and 44K "
                        "is free beside what is made already; make room there, or lower segment_size");
    fake_disk_resize(r->disk, 0);
    assert_true(log_rig_opens(r, 0));
    log_rig_end(r, false);
    log_rig_free(r);
}
