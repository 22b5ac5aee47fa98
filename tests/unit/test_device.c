/* test_device.c - what the start finds out about a device: sysfs trees of made-up disks, a table of devices with the
 * path that must be chosen for them, and the measurement of a real one. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "disk_uring.h"
#include "probe.h"
#include "test.h"
#include "verdict.h"

/* -- sysfs -- */

static void fake_file(const char *directory, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void fake_disk(const char *directory, const char *cache, const char *fua)
{
    char path[128];
    snprintf(path, sizeof path, "%s/queue", directory);
    mkdir(directory, 0700);
    mkdir(path, 0700);
    fake_file(path, "write_cache", cache);
    fake_file(path, "fua", fua);
}

static struct probed probe_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    struct probed p = probe_block(fd);
    close(fd);
    return p;
}

static void sweep(const char *directory)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
}

TEST(device, a_disk_says_what_it_is_and_a_partition_asks_its_disk)
{
    char room[] = "build-sysfs-XXXXXX", disk[64], partition[96];
    assert_non_null(mkdtemp(room));
    snprintf(disk, sizeof disk, "%s/sda", room);
    snprintf(partition, sizeof partition, "%s/sda1", disk);
    fake_disk(disk, "write back\n", "0\n");
    struct probed p = probe_path(disk);
    assert_true(p.known && p.volatile_cache && !p.fua && !p.in_memory);
    fake_disk(disk, "write back\n", "1\n");
    mkdir(partition, 0700);
    p = probe_path(partition);
    assert_true(p.known && p.volatile_cache && p.fua);
    fake_disk(disk, "write through\n", "0\n");
    p = probe_path(partition);
    assert_true(p.known && !p.volatile_cache && !p.fua);
    sweep(room);
}

TEST(device, a_directory_without_a_queue_is_not_known)
{
    char room[] = "build-sysfs-XXXXXX";
    assert_non_null(mkdtemp(room));
    struct probed p = probe_path(room);
    assert_true(!p.known && !p.volatile_cache && !p.fua && !p.in_memory);
    sweep(room);
}

TEST(device, a_cache_below_counts_and_fua_needs_every_layer)
{
    char room[] = "build-sysfs-XXXXXX", mapper[64], slaves[96], a[128], b[128];
    assert_non_null(mkdtemp(room));
    snprintf(mapper, sizeof mapper, "%s/dm-0", room);
    snprintf(slaves, sizeof slaves, "%s/slaves", mapper);
    snprintf(a, sizeof a, "%s/nvme0n1", slaves);
    snprintf(b, sizeof b, "%s/sdb", slaves);
    fake_disk(mapper, "write through\n", "1\n");
    mkdir(slaves, 0700);
    fake_disk(a, "write through\n", "1\n");
    struct probed p = probe_path(mapper);
    assert_true(p.known && !p.volatile_cache && p.fua);
    fake_disk(b, "write back\n", "0\n");
    p = probe_path(mapper);
    assert_true(p.known && p.volatile_cache && !p.fua);
    sweep(room);
}

TEST(device, a_loop_device_is_as_good_as_the_disk_that_its_file_lies_on)
{
    char room[] = "build-sysfs-XXXXXX", loop[64], inner[96], file[128];
    struct statfs fs;
    assert_non_null(mkdtemp(room));
    snprintf(loop, sizeof loop, "%s/loop0", room);
    snprintf(inner, sizeof inner, "%s/loop", loop);
    fake_disk(loop, "write through\n", "1\n");
    mkdir(inner, 0700);
    snprintf(file, sizeof file, "%s/no/such/image\n", room);
    fake_file(inner, "backing_file", file);
    struct probed p = probe_path(loop);
    assert_true(p.known && !p.volatile_cache && p.fua && !p.in_memory);
    if (statfs("/dev/shm", &fs) == 0 && fs.f_type == TMPFS_MAGIC) {
        fake_file(inner, "backing_file", "/dev/shm\n");
        assert_true(probe_path(loop).in_memory);
    }
    sweep(room);
}

/* -- the decision -- */

#define US(w, f, d, s)                                                                                                 \
    true, NULL, {(w)*1000}, {(f)*1000}, {(d)*1000},                                                                    \
    {                                                                                                                  \
        (s) * 1000                                                                                                     \
    }
#define NOT_MEASURED                                                                                                   \
    false, "too little space", {0}, {0}, {0},                                                                          \
    {                                                                                                                  \
        0                                                                                                              \
    }

static const struct {
    const char *name;
    struct probed device; /* known, volatile cache, FUA, in memory */
    struct measured cost; /* write, flush, durable, library's sync */
    bool buffered;        /* no O_DIRECT */
    bool durable_writes, hollow_flush, hollow_libc;
    unsigned warnings;
} devices[] = {
    {"cloud disk", {true, true, false, false}, {US(118, 121, 260, 120)}, false, false, false, false, 0},
    {"the same, unmeasured", {true, true, false, false}, {NOT_MEASURED}, false, false, false, false, 0},
    {"hard disk", {true, true, false, false}, {US(90, 8300, 8400, 8300)}, false, false, false, false, 0},
    {"flash with FUA", {true, true, true, false}, {US(14, 900, 320, 900)}, false, true, false, false, 0},
    {"flash with FUA, unmeasured", {true, true, true, false}, {NOT_MEASURED}, false, true, false, false, 0},
    {"FUA that is a bad deal", {true, true, true, false}, {US(20, 400, 2000, 400)}, false, false, false, false, 0},
    {"FUA a little dearer", {true, true, true, false}, {US(20, 400, 500, 400)}, false, true, false, false, 0},
    {"flash with capacitors", {true, false, false, false}, {US(12, 2, 13, 1)}, false, true, false, false, 0},
    {"dsync much the cheaper", {true, true, false, false}, {US(60, 200, 150, 200)}, false, true, false, false, 0},
    {"dsync a little cheaper", {true, true, false, false}, {US(60, 120, 130, 120)}, false, false, false, false, 0},
    {"network file system", {false, false, false, false}, {US(700, 900, 1500, 900)}, false, false, false, false, 0},
    {"hypervisor that lies", {true, true, false, false}, {US(60, 14, 75, 14)}, false, false, true, false, 1},
    {"mounted without barriers", {true, true, false, false}, {US(60, 2, 62, 1)}, false, false, true, false, 1},
    {"stacked, no flush", {false, false, false, false}, {US(5, 1, 6, 0)}, false, false, true, false, 1},
    {"libeatmydata", {true, true, false, false}, {US(60, 110, 170, 0)}, false, false, false, true, 1},
    {"fast flash, real flush", {true, true, false, false}, {US(9, 18, 28, 17)}, false, false, false, false, 0},
    {"tmpfs", {false, false, false, true}, {US(2, 1, 2, 0)}, true, false, false, false, 2},
    {"tmpfs with O_DIRECT", {false, false, false, true}, {US(2, 1, 3, 0)}, false, false, false, false, 1},
    {"FUSE", {false, false, false, false}, {US(30, 400, 430, 400)}, true, false, false, false, 1},
};

TEST(device, the_path_follows_what_the_device_says_and_what_it_costs)
{
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        bool direct = !devices[i].buffered;
        struct disk_facts f = verdict_choose(&devices[i].device, &devices[i].cost, direct);
        unsigned warnings = 0;
        while (verdict_warning(&f, direct, warnings))
            warnings++;
        if (f.durable_writes != devices[i].durable_writes || f.hollow_flush != devices[i].hollow_flush ||
            f.hollow_libc != devices[i].hollow_libc || warnings != devices[i].warnings)
            fail_msg("%s: durable writes %d, hollow %d %d, warnings %u", devices[i].name, f.durable_writes,
                     f.hollow_flush, f.hollow_libc, warnings);
    }
}

static void assert_said(struct probed p, struct measured m, const char *sentence)
{
    char text[VERDICT_TEXT];
    struct disk_facts f = verdict_choose(&p, &m, true);
    verdict_say(&f, &m, text);
    assert_string_equal(text, sentence);
}

TEST(device, one_line_says_the_path_the_facts_and_the_costs)
{
    assert_said((struct probed){true, true, false, false}, (struct measured){US(118, 121, 260, 120)},
                "writes + flushes, volatile cache, no FUA; write 118 us, flush 121 us, dsync 260 us");
    assert_said((struct probed){true, false, true, false}, (struct measured){US(12, 2, 13, 1)},
                "durable writes, no volatile cache, FUA; write 12 us, flush 2 us, dsync 13 us");
    assert_said((struct probed){false, false, false, false}, (struct measured){NOT_MEASURED},
                "writes + flushes, unknown device; not measured: too little space");
}

/* -- a real disk -- */

TEST(device, measuring_takes_a_moment_and_leaves_nothing_behind)
{
    char room[] = "build-measure-XXXXXX", error[256];
    struct ring *r;
    assert_non_null(mkdtemp(room));
    assert_int_equal(ring_open(&r, error), LEAT_OK);
    int fd = open(room, O_RDONLY | O_DIRECTORY);
    struct measured m = measure_directory(r, fd, O_DIRECT);
    assert_true(m.done);
    assert_true(m.write.ns > 0 && m.flush.ns > 0 && m.durable.ns > 0 && m.libc_sync.ns > 0);
    close(fd);
    ring_close(r);
    assert_int_equal(rmdir(room), 0);
}

TEST(device, a_directory_that_takes_no_file_is_not_measured)
{
    char error[256];
    struct ring *r;
    assert_int_equal(ring_open(&r, error), LEAT_OK);
    int fd = open("/sys", O_RDONLY | O_DIRECTORY);
    struct measured m = measure_directory(r, fd, 0);
    assert_false(m.done);
    assert_non_null(m.why);
    close(fd);
    ring_close(r);
}

TEST(device, a_directory_in_memory_is_known_as_one)
{
    struct statfs fs;
    if (statfs("/dev/shm", &fs) != 0 || fs.f_type != TMPFS_MAGIC)
        return;
    int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY);
    struct probed p = probe_directory(fd);
    assert_true(p.in_memory && !p.known);
    close(fd);
}
