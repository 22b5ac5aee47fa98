/* test_recovery_manifest.c - the table of FAULTS.md, section 2, for the manifest: one copy of two, old, cut, forged. */
#include "damage.h"
#include "manifest.h"
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
