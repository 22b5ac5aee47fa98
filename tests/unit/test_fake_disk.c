/* test_fake_disk.c - the disk that lies keeps its own promises: a checker that cannot see proves nothing. */
#include <errno.h>

#include "fake_disk.h"
#include "test.h"

static uint8_t ones[65536] __attribute__((aligned(4096))), back[65536] __attribute__((aligned(4096)));

static struct disk *disk(uint64_t seed, bool slow)
{
    struct fake_disk_config c = {.seed = seed};
    if (slow) {
        c.latency_min = duration_us(10);
        c.latency_max = duration_us(1000);
    }
    memset(ones, 1, sizeof ones);
    return fake_disk_open(&c);
}

static uint32_t make(struct disk *d, const char *name, uint64_t size)
{
    int file = disk_create(d, name, size);
    assert_true(file >= 0);
    assert_int_equal(disk_sync_directory(d), 0);
    return (uint32_t)file;
}

static int32_t run(struct disk *d, struct disk_op op)
{
    struct disk_done done;
    assert_true(disk_submit(d, &op));
    disk_wait(d);
    assert_int_equal(disk_reap(d, &done, 1), 1);
    assert_int_equal(done.tag, op.tag);
    return done.result;
}

static struct disk_op write_op(uint32_t file, uint64_t offset, uint32_t size, bool durable)
{
    return (struct disk_op){
        .kind = DISK_WRITE, .durable = durable, .file = file, .offset = offset, .data = ones, .size = size, .tag = 9};
}

/* Sectors of the first `size` bytes that are all ones; the rest must be all zeros. */
static unsigned sectors(struct disk *d, const char *name, uint64_t size)
{
    unsigned n = 0;
    assert_true(fake_disk_peek(d, name, 0, back, size));
    for (uint64_t at = 0; at < size; at += 512) {
        for (uint64_t i = 1; i < 512; i++)
            assert_int_equal(back[at + i], back[at]);
        n += back[at] == 1;
    }
    return n;
}

TEST(fake_disk, synced_and_durable_writes_survive_every_crash_and_others_come_out_in_many_ways)
{
    unsigned seen[129] = {0}, kinds = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct disk *d = disk(seed, false);
        uint32_t a = make(d, "a", 65536), b = make(d, "b", 65536), c = make(d, "c", 65536);
        assert_int_equal(run(d, write_op(a, 0, 65536, false)), 65536);
        assert_int_equal(run(d, (struct disk_op){.kind = DISK_FLUSH, .file = a}), 0);
        assert_int_equal(run(d, write_op(b, 0, 65536, true)), 65536);
        assert_int_equal(run(d, write_op(c, 0, 65536, false)), 65536);
        fake_disk_crash(d);
        assert_int_equal(sectors(d, "a", 65536), 128);
        assert_int_equal(sectors(d, "b", 65536), 128);
        kinds += seen[sectors(d, "c", 65536)]++ == 0;
        assert_int_equal(disk_open(d, "c"), 0);
        fake_disk_close(d);
    }
    assert_true(seen[0] > 30);
    assert_true(seen[128] > 30);
    assert_true(kinds > 20);
}

TEST(fake_disk, a_flush_covers_only_what_was_complete_when_it_was_submitted)
{
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk *d = disk(seed, false);
        uint32_t a = make(d, "a", 65536);
        struct disk_op flush = {.kind = DISK_FLUSH, .file = a}, write = write_op(a, 0, 4096, false);
        struct disk_done done[2];
        assert_true(disk_submit(d, &write));
        assert_true(disk_submit(d, &flush)); /* the write is still under way */
        fake_disk_step(d, (struct instant){1});
        assert_int_equal(disk_reap(d, done, 2), 2);
        fake_disk_crash(d);
        lost += sectors(d, "a", 4096) < 8;
        fake_disk_close(d);
    }
    assert_true(lost > 30);
}

TEST(fake_disk, after_a_failed_flush_the_next_one_succeeds_and_the_bytes_are_gone)
{
    struct disk *d = disk(1, false);
    uint32_t a = make(d, "a", 65536);
    fake_disk_fail(d, DISK_FLUSH, 1, -EIO);
    assert_int_equal(run(d, write_op(a, 0, 4096, false)), 4096);
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_FLUSH, .file = a}), -EIO);
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_FLUSH, .file = a}), 0);
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_READ, .file = a, .data = back, .size = 4096}), 4096);
    assert_memory_equal(back, ones, 4096);
    fake_disk_crash(d);
    assert_int_equal(sectors(d, "a", 4096), 0);
    fake_disk_close(d);
}

TEST(fake_disk, names_are_pending_until_the_directory_is_synced)
{
    unsigned made = 0, removed = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk *d = disk(seed, false);
        make(d, "old", 4096);
        assert_true(disk_create(d, "new", 4096) >= 0);
        assert_int_equal(disk_remove(d, "old"), 0);
        assert_int_equal(disk_open(d, "old"), -ENOENT);
        fake_disk_crash(d);
        made += disk_open(d, "new") >= 0;
        removed += disk_open(d, "old") < 0;
        fake_disk_crash(d); /* what was decided stays */
        fake_disk_close(d);
    }
    assert_in_range(made, 20, 80);
    assert_in_range(removed, 20, 80);
}

TEST(fake_disk, a_renamed_file_has_its_new_name_after_every_crash)
{
    struct disk *d = disk(5, false);
    make(d, "from", 4096);
    make(d, "to", 8192);
    assert_int_equal(disk_rename(d, "from", "to"), 0);
    fake_disk_crash(d);
    assert_int_equal(disk_open(d, "from"), -ENOENT);
    int file = disk_open(d, "to");
    assert_true(file >= 0);
    assert_int_equal(disk_size(d, (uint32_t)file), 4096);
    assert_int_equal(disk_rename(d, "nothing", "to"), -ENOENT);
    fake_disk_close(d);
}

TEST(fake_disk, completions_come_at_their_time_in_any_order_and_the_same_seed_repeats_them)
{
    uint64_t first[16];
    for (unsigned round = 0; round < 2; round++) {
        struct disk *d = disk(7, true);
        uint32_t a = make(d, "a", 65536);
        unsigned n = 0, inversions = 0;
        struct disk_done done;
        for (uint64_t i = 0; i < 16; i++) {
            struct disk_op op = write_op(a, i * 4096, 4096, false);
            op.tag = i;
            assert_true(disk_submit(d, &op));
        }
        assert_int_equal(disk_reap(d, &done, 1), 0);
        for (uint64_t last = 0; fake_disk_under_way(d) > 0;) {
            struct instant due = fake_disk_next_due(d);
            fake_disk_step(d, (struct instant){due.ns - 1});
            assert_int_equal(disk_reap(d, &done, 1), 0);
            fake_disk_step(d, due);
            for (; disk_reap(d, &done, 1); last = done.tag) {
                inversions += done.tag < last;
                if (round == 0)
                    first[n++] = done.tag;
                else
                    assert_int_equal(first[n++], done.tag);
            }
        }
        assert_int_equal(n, 16);
        assert_true(inversions > 2);
        fake_disk_close(d);
    }
}

TEST(fake_disk, faults_strike_the_operation_that_was_counted_and_a_full_disk_is_full)
{
    struct fake_disk_config c = {.seed = 3, .capacity = 65536 + 8192};
    struct disk *d = fake_disk_open(&c);
    uint32_t a = make(d, "a", 65536);
    fake_disk_fail(d, DISK_WRITE, 2, 512);
    assert_int_equal(run(d, write_op(a, 0, 8192, false)), 8192);
    assert_int_equal(run(d, write_op(a, 8192, 8192, false)), 512);
    assert_int_equal(run(d, write_op(a, 8192, 8192, false)), 8192);
    fake_disk_fail(d, DISK_READ, 1, -EIO);
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_READ, .file = a, .data = back, .size = 4096}), -EIO);
    assert_true(fake_disk_spoil(d, "a", 4096));
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_READ, .file = a, .data = back, .size = 8192}), -EIO);
    assert_int_equal(run(d, write_op(a, 4096, 4096, false)), 4096);
    assert_int_equal(run(d, (struct disk_op){.kind = DISK_READ, .file = a, .data = back, .size = 8192}), 8192);
    assert_int_equal(disk_create(d, "b", 16384), -ENOSPC);
    assert_int_equal(disk_free(d), 8192);
    assert_true(disk_create(d, "b", 8192) >= 0);
    fake_disk_close(d);
}

TEST(fake_disk, a_dead_disk_does_nothing_until_the_power_is_back)
{
    struct disk *d = disk(5, false);
    uint32_t a = make(d, "a", 65536);
    fake_disk_die(d, 1); /* the submission still counts, its completion no longer */
    assert_int_equal(run(d, write_op(a, 0, 4096, true)), -EIO);
    assert_true(fake_disk_dead(d));
    assert_int_equal(disk_sync_directory(d), -EIO);
    fake_disk_crash(d);
    assert_false(fake_disk_dead(d));
    assert_int_equal(disk_open(d, "a"), 0);
    fake_disk_close(d);
}

TEST(fake_disk, a_misdirected_write_is_called_a_success_and_can_be_mended)
{
    unsigned moved = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *d = disk(seed, false);
        uint32_t a = make(d, "a", 65536);
        fake_disk_misdirect(d, 2);
        assert_int_equal(run(d, write_op(a, 0, 4096, true)), 4096);
        assert_int_equal(fake_disk_lies(d), 0);
        assert_int_equal(run(d, write_op(a, 8192, 8192, true)), 8192);
        if (fake_disk_lies(d) > 0) {
            moved++;
            assert_int_equal(fake_disk_lies(d), 4); /* two pages missing, two overwritten */
            assert_true(fake_disk_peek(d, "a", 8192, back, 8192));
            assert_int_equal(back[0] + back[4096], 0);
            fake_disk_crash(d);
            fake_disk_show(d, true);
        }
        assert_true(fake_disk_peek(d, "a", 0, back, 16384));
        assert_int_equal(back[0], 1);
        assert_int_equal(back[4096], 0);
        assert_memory_equal(back + 8192, ones, 8192);
        assert_int_equal(sectors(d, "a", 65536), 24);
        fake_disk_close(d);
    }
    assert_true(moved > 20);
}

TEST(fake_disk, a_misdirected_write_may_land_in_another_file)
{
    unsigned own = 0, other = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *d = disk(seed, false);
        uint32_t a = make(d, "a", 65536);
        make(d, "b", 65536);
        make(d, "small", 8192);
        fake_disk_misdirect(d, 1);
        assert_int_equal(run(d, write_op(a, 8192, 4096, true)), 4096);
        own += fake_disk_lies(d) > 0 && sectors(d, "a", 65536) == 8;
        other += sectors(d, "b", 65536) == 8;
        assert_int_equal(sectors(d, "small", 8192), 0);
        assert_int_equal(sectors(d, "a", 65536) + sectors(d, "b", 65536), 8);
        fake_disk_show(d, true);
        assert_true(fake_disk_peek(d, "a", 8192, back, 4096));
        assert_memory_equal(back, ones, 4096);
        assert_int_equal(sectors(d, "b", 65536), 0);
        fake_disk_close(d);
    }
    assert_true(own > 10 && other > 10);
}

TEST(fake_disk, who_writes_to_a_wrong_place_makes_it_right)
{
    struct disk *d = disk(3, false);
    uint32_t a = make(d, "a", 65536);
    uint8_t twos[8192];
    memset(twos, 2, sizeof twos);
    assert_true(fake_disk_damage(d, "a", 4096, twos, sizeof twos));
    assert_int_equal(fake_disk_lies(d), 2);
    assert_int_equal(run(d, write_op(a, 4096, 4096, true)), 4096);
    assert_int_equal(fake_disk_lies(d), 1);
    fake_disk_show(d, true);
    assert_int_equal(sectors(d, "a", 65536), 8);
    fake_disk_show(d, false);
    assert_true(fake_disk_peek(d, "a", 8192, back, 1));
    assert_int_equal(back[0], 2);
    fake_disk_close(d);
}

TEST(fake_disk, a_lying_read_brings_other_bytes_and_says_nothing)
{
    struct disk *d = disk(4, false);
    uint32_t a = make(d, "a", 65536);
    unsigned wrong = 0;
    assert_int_equal(run(d, write_op(a, 0, 4096, true)), 4096);
    fake_disk_lie_reads(d, 500);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(run(d, (struct disk_op){.kind = DISK_READ, .file = a, .data = back, .size = 4096}), 4096);
        wrong += memcmp(back, ones, 4096) != 0;
    }
    assert_in_range(wrong, 20, 60);
    fake_disk_close(d);
}

TEST(fake_disk, operations_that_hang_take_long_and_the_others_do_not)
{
    struct fake_disk_config c = {
        .seed = 5, .latency_max = duration_us(10), .spike_permille = 100, .spike_max = duration_s(1)};
    struct disk *d = fake_disk_open(&c);
    uint32_t a = make(d, "a", 65536);
    struct disk_done done[100];
    for (unsigned i = 0; i < 100; i++) {
        struct disk_op op = write_op(a, 0, 4096, false);
        assert_true(disk_submit(d, &op));
    }
    fake_disk_step(d, (struct instant){10000});
    assert_in_range(disk_reap(d, done, 100), 70, 99);
    fake_disk_step(d, (struct instant){2000000000});
    assert_int_equal(fake_disk_under_way(d), 0);
    fake_disk_close(d);
}

TEST(fake_disk, a_clone_goes_its_own_way)
{
    struct disk *d = disk(6, false);
    uint32_t a = make(d, "a", 65536);
    assert_int_equal(run(d, write_op(a, 0, 4096, true)), 4096);
    struct disk *c = fake_disk_clone(d);
    assert_int_equal(run(c, write_op(a, 4096, 4096, true)), 4096);
    assert_int_equal(sectors(c, "a", 65536), 16);
    assert_int_equal(sectors(d, "a", 65536), 8);
    fake_disk_close(d);
    assert_int_equal(sectors(c, "a", 65536), 16);
    fake_disk_close(c);
}
