/* test_disk_uring.c - disk.h on a real file system: writes, reads, flushes, files made ahead, and errors told apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "disk_uring.h"
#include "fill.h"
#include "test.h"

/* A directory beside the build (not in /tmp, which may be a tmpfs), a ring and a disk on it. */
struct room {
    char path[64];
    struct ring *ring;
    struct disk *disk;
};

static struct room room_open(void)
{
    struct room x = {.path = "build-disk-XXXXXX"};
    char error[256] = "";
    assert_non_null(mkdtemp(x.path));
    assert_int_equal(ring_open(&x.ring, error), LEAT_OK);
    assert_int_equal(disk_uring_open(&x.disk, x.ring, x.path, error), LEAT_OK);
    return x;
}

static void room_close(struct room *x)
{
    char name[DISK_NAME_MAX];
    while (disk_list(x->disk, 0, name))
        assert_int_equal(disk_remove(x->disk, name), 0);
    disk_uring_close(x->disk);
    ring_close(x->ring);
    assert_int_equal(rmdir(x->path), 0); /* nothing else is left behind */
}

static struct disk_done room_next(struct room *x)
{
    struct disk_done done;
    disk_wait(x->disk);
    assert_int_equal(disk_reap(x->disk, &done, 1), 1);
    return done;
}

static struct disk_done room_do(struct room *x, struct disk_op op)
{
    assert_true(disk_submit(x->disk, &op));
    return room_next(x);
}

TEST(disk, a_created_file_is_all_zeros_has_no_hole_and_keeps_what_is_written)
{
    struct room x = room_open();
    static alignas(4096) uint8_t data[8192], back[8192], zeros[8192];
    int file = disk_create(x.disk, "log-1", 3 * 1024 * 1024 + 4096);
    assert_true(file >= 0);
    assert_int_equal(disk_size(x.disk, (uint32_t)file), 3 * 1024 * 1024 + 4096);
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/log-1", x.path);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_blocks * 512 >= st.st_size);
    struct disk_op op = {.kind = DISK_READ, .file = (uint32_t)file, .data = back, .size = 8192, .tag = UINT64_MAX};
    struct disk_done done = room_do(&x, op);
    assert_int_equal(done.result, 8192);
    assert_true(done.tag == UINT64_MAX);
    assert_memory_equal(back, zeros, 8192);
    memset(data, 'w', sizeof data);
    op = (struct disk_op){
        .kind = DISK_WRITE, .file = (uint32_t)file, .offset = 4096, .data = data, .size = 8192, .tag = 2};
    assert_int_equal(room_do(&x, op).result, 8192);
    op.durable = true;
    assert_int_equal(room_do(&x, op).result, 8192);
    assert_int_equal(room_do(&x, (struct disk_op){.kind = DISK_FLUSH, .file = (uint32_t)file}).result, 0);
    op = (struct disk_op){.kind = DISK_READ, .file = (uint32_t)file, .offset = 4096, .data = back, .size = 8192};
    assert_int_equal(room_do(&x, op).result, 8192);
    assert_memory_equal(back, data, 8192);
    disk_close(x.disk, (uint32_t)file);
    room_close(&x);
}

TEST(disk, an_existing_file_is_kept_when_it_fits_and_grown_when_it_does_not)
{
    struct room x = room_open();
    static alignas(4096) uint8_t data[4096], back[4096];
    memset(data, 'k', sizeof data);
    int file = disk_create(x.disk, "seg", 65536);
    assert_int_equal(
        room_do(&x, (struct disk_op){.kind = DISK_WRITE, .file = (uint32_t)file, .data = data, .size = 4096}).result,
        4096);
    disk_close(x.disk, (uint32_t)file);
    file = disk_create(x.disk, "seg", 4096);
    assert_int_equal(disk_size(x.disk, (uint32_t)file), 65536);
    disk_close(x.disk, (uint32_t)file);
    file = disk_create(x.disk, "seg", 2 * 1024 * 1024);
    assert_int_equal(disk_size(x.disk, (uint32_t)file), 2 * 1024 * 1024);
    assert_int_equal(
        room_do(&x, (struct disk_op){.kind = DISK_READ, .file = (uint32_t)file, .data = back, .size = 4096}).result,
        4096);
    assert_memory_equal(back, data, 4096);
    room_close(&x);
}

TEST(disk, a_file_made_in_the_background_arrives_as_a_completion_while_writes_go_on)
{
    struct room x = room_open();
    static alignas(4096) uint8_t data[4096];
    int file = disk_create(x.disk, "a", 1024 * 1024);
    assert_true(disk_create_start(x.disk, "b", 8 * 1024 * 1024, 77));
    assert_false(disk_create_start(x.disk, "c", 4096, 78));
    int ahead = -1, writes = 0;
    struct disk_op op = {.kind = DISK_WRITE, .file = (uint32_t)file, .data = data, .size = 4096, .tag = 5};
    assert_true(disk_submit(x.disk, &op));
    while (ahead < 0) {
        struct disk_done done = room_next(&x);
        if (done.tag == 77) {
            ahead = done.result;
            break;
        }
        assert_int_equal(done.result, 4096);
        writes++;
        assert_true(disk_submit(x.disk, &op));
    }
    assert_true(writes > 0);
    assert_true(ahead >= 0);
    assert_int_equal(disk_size(x.disk, (uint32_t)ahead), 8 * 1024 * 1024);
    assert_true(disk_create_start(x.disk, "c", 4096, 78));
    char error[256];
    disk_uring_close(x.disk); /* waits for it */
    assert_int_equal(disk_uring_open(&x.disk, x.ring, x.path, error), LEAT_OK);
    assert_true(disk_open(x.disk, "c") >= 0);
    room_close(&x);
}

/* Two laps over an area of two slices: the first is written from common memory, the second from what is registered by
 * then, and blocks that cross slices are written as ever. */
TEST(disk, its_own_memory_can_be_written_from_in_every_lap)
{
    enum { AREA = 10 << 20, BLOCK = 7 * DISK_BLOCK, BLOCKS = AREA / BLOCK };
    struct room x = room_open();
    static alignas(4096) uint8_t back[BLOCK];
    int file = disk_create(x.disk, "a", BLOCK);
    uint8_t *area = disk_memory(x.disk, AREA);
    assert_non_null(area);
    assert_int_equal((uintptr_t)area % DISK_BLOCK, 0);
    for (unsigned i = 0; i < 2 * BLOCKS; i++) {
        uint8_t *data = area + i % BLOCKS * BLOCK;
        memset(data, (int)(i % 251), BLOCK);
        struct disk_op op = {.kind = DISK_WRITE, .file = (uint32_t)file, .data = data, .size = BLOCK};
        assert_int_equal(room_do(&x, op).result, BLOCK);
        op.kind = DISK_READ;
        op.data = back;
        assert_int_equal(room_do(&x, op).result, BLOCK);
        assert_memory_equal(back, data, BLOCK);
    }
    area = disk_memory(x.disk, BLOCK); /* another area */
    struct disk_op op = {.kind = DISK_READ, .file = (uint32_t)file, .data = area, .size = BLOCK};
    assert_int_equal(room_do(&x, op).result, BLOCK);
    assert_memory_equal(back, area, BLOCK);
    room_close(&x);
}

TEST(disk, a_full_queue_says_so_and_takes_more_after_a_reap)
{
    struct room x = room_open();
    static alignas(4096) uint8_t data[4096];
    int file = disk_create(x.disk, "a", 1024 * 1024);
    struct disk_op op = {.kind = DISK_READ, .file = (uint32_t)file, .data = data, .size = 4096};
    unsigned submitted = 0, reaped = 0;
    struct disk_done done[32];
    while (disk_submit(x.disk, &op))
        op.tag = ++submitted;
    assert_true(submitted >= 64);
    disk_wait(x.disk);
    reaped += disk_reap(x.disk, done, 32);
    assert_true(reaped > 0);
    assert_true(disk_submit(x.disk, &op));
    submitted++;
    while (reaped < submitted) {
        disk_wait(x.disk);
        reaped += disk_reap(x.disk, done, 32);
    }
    disk_wait(x.disk); /* nothing under way: returns */
    assert_int_equal(disk_reap(x.disk, done, 32), 0);
    room_close(&x);
}

TEST(disk, names_are_listed_without_half_made_files_which_the_next_open_removes)
{
    struct room x = room_open();
    char name[DISK_NAME_MAX], half[128], error[256];
    snprintf(half, sizeof half, "%s/z.new", x.path);
    int fd = open(half, O_CREAT | O_WRONLY, 0600);
    close(fd);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        int file = disk_create(x.disk, name, 0);
        assert_true(file >= 0);
        disk_close(x.disk, (uint32_t)file);
    }
    unsigned count = 0;
    while (disk_list(x.disk, count, name)) {
        assert_false(fill_is_temporary(name));
        count++;
    }
    assert_int_equal(count, 100);
    struct disk *second;
    assert_int_equal(disk_uring_open(&second, x.ring, x.path, error), LEAT_OK);
    assert_int_equal(access(half, F_OK), -1);
    disk_uring_close(second);
    assert_int_equal(disk_sync_directory(x.disk), 0);
    assert_true(disk_free(x.disk) > 0);
    room_close(&x);
}

TEST(disk, errors_have_their_number)
{
    struct room x = room_open();
    static alignas(4096) uint8_t data[4096];
    assert_int_equal(disk_open(x.disk, "none"), -ENOENT);
    assert_int_equal(disk_open(x.disk, "../none"), -EINVAL);
    assert_int_equal(disk_remove(x.disk, "none"), -ENOENT);
    assert_int_equal(disk_rename(x.disk, "none", "some"), -ENOENT);
    int huge = disk_create(x.disk, "huge", UINT64_C(1) << 60);
    assert_true(huge == -EFBIG || huge == -ENOSPC);
    assert_int_equal(disk_open(x.disk, "huge"), -ENOENT);
    int file = disk_create(x.disk, "short", 4096);
    struct disk_op op = {.kind = DISK_READ, .file = (uint32_t)file, .offset = 1 << 20, .data = data, .size = 4096};
    assert_int_equal(room_do(&x, op).result, 0);
    room_close(&x);
}

static enum leat_status open_status(const char *path, char error[256])
{
    struct ring *r;
    struct disk *d;
    assert_int_equal(ring_open(&r, error), LEAT_OK);
    enum leat_status status = disk_uring_open(&d, r, path, error);
    if (status == LEAT_OK)
        disk_uring_close(d);
    ring_close(r);
    return status;
}

TEST(disk, a_data_directory_is_made_or_refused_with_a_sentence)
{
    struct room x = room_open();
    char path[128], error[256] = "";
    snprintf(path, sizeof path, "%s/fresh", x.path);
    assert_int_equal(open_status(path, error), LEAT_OK);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(open_status("/dev/null", error), LEAT_DISK_ERROR);
    assert_non_null(strstr(error, "/dev/null"));
    assert_int_equal(open_status("/no/such/parent", error), LEAT_DISK_ERROR);
    if (geteuid() != 0) {
        assert_int_equal(open_status("/root/leat-data", error), LEAT_NO_PERMISSION);
        assert_non_null(strstr(error, "/root/leat-data"));
    }
    room_close(&x);
}
