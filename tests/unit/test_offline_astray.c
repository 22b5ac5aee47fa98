/* test_offline_astray.c - a block that the disk wrote to the start of the next segment, and not to its own place; and
 * the last block of a backup: what a start refuses, fsck finds and a salvage brings back. */
#include "byteorder.h"
#include "offline_stage.h"
#include "record.h"

/* Where block `number` stands in the segment that the log ends in; its size, or 0. */
static uint32_t find_block(const char *name, uint64_t number, uint64_t *offset)
{
    uint8_t head[RECORD_HEADER];
    for (*offset = 0; fake_disk_peek(stage->disk, name, *offset, head, sizeof head); *offset += DISK_BLOCK)
        if (memcmp(head, "leat blk", 8) == 0 && le64_get(head + 24) == number)
            return record_disk_size(le32_get(head + 56));
    return 0;
}

/* The block so far from the end goes astray; false: there is none that could. */
static bool lead_astray(uint64_t from_end)
{
    static uint8_t bytes[64 * 1024];
    static const uint8_t zeros[sizeof bytes];
    char own[DISK_NAME_MAX] = "", next[DISK_NAME_MAX] = "";
    look();
    uint32_t at = judge.segment;
    uint64_t number = judge.next - 1 - from_end, offset;
    bool can = at + 1 < scan.segments_count && scan.segments[at + 1].listed_first == 0 &&
               scan.segments[at + 1].runs == 0 && scan.segments[at].incarnation == scan.segments[at + 1].incarnation &&
               number > source.m.checkpoint_block && number > scan.segments[at].listed_first;
    source_segment_name(own, scan.segments[at].number);
    if (can)
        source_segment_name(next, scan.segments[at + 1].number);
    look_away();
    uint32_t size = can ? find_block(own, number, &offset) : 0;
    if (size == 0 || size > sizeof bytes)
        return false;
    assert_true(fake_disk_peek(stage->disk, own, offset, bytes, size));
    assert_true(fake_disk_poke(stage->disk, next, 0, bytes, size));
    assert_true(fake_disk_poke(stage->disk, own, offset, zeros, size));
    return true;
}

TEST(offline, a_block_that_the_disk_led_astray_is_refused_found_and_brought_back)
{
    unsigned astray = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        work(seed, seed % 2);
        if (lead_astray(seed % 4)) {
            astray++;
            assert_true(refused());
            assert_int_equal(check(false), LEAT_CORRUPT);
            assert_int_equal(mend(), LEAT_OK);
            assert_false(refused());
            drain();
            for (unsigned n = 0; n < messages; n++)
                assert_true(memory[n].acked || memory[n].came == 1);
        }
        work_end();
    }
    assert_true(astray >= 4);
}

/* A backup's manifest says how far its copies were durable, and no block behind the last one does. */
TEST(offline, the_last_block_of_a_backup_is_proven)
{
    static uint8_t copies[2 * MANIFEST_BYTES];
    unsigned behind = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        char name[DISK_NAME_MAX];
        uint64_t offset;
        work(seed, seed % 2);
        look();
        source.m.proven = judge.next - 1;
        manifest_encode(copies, &source.m);
        manifest_encode(copies + MANIFEST_BYTES, &source.m);
        source_segment_name(name, scan.segments[judge.segment].number);
        bool read = judge.next - 1 > source.m.checkpoint_block; /* a start reads no block before the checkpoint */
        look_away();
        behind += read;
        assert_true(fake_disk_poke(stage->disk, "manifest", 0, copies, sizeof copies));
        assert_true(find_block(name, source.m.proven, &offset) > 0);
        poke_byte(name, offset + 100);
        assert_int_equal(refused(), read);
        assert_int_equal(check(false), LEAT_CORRUPT);
        assert_int_equal(mend(), read ? LEAT_OK : LEAT_EMPTY);
        assert_false(refused());
        work_end();
    }
    assert_true(behind >= 4);
}
