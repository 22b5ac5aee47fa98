/* measure.c - rounds of writes and flushes, timed. */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clock.h"
#include "disk.h"

enum { ROUNDS = 8, LIMIT_MS = 30, SCRATCH_BYTES = 64 * 1024, SPACE_LEAST = 64 * 1024 * 1024 };

enum step { STEP_WRITE, STEP_FLUSH, STEP_DURABLE, STEP_SYNC, STEPS };

struct bench {
    struct ring *ring;
    uint8_t owner;
    int fd;
    uint8_t *zeros;
    int32_t result; /* of the request under way */
    bool arrived;
    unsigned rounds;
    uint64_t ns[STEPS][ROUNDS];
};

static const char scratch_name[] = "scratch.new"; /* what fill_sweep() would remove after a crash */

static void measure_arrived(void *context, const struct ring_completion *c)
{
    struct bench *b = context;
    b->result = c->result;
    b->arrived = true;
}

static bool measure_wait(struct bench *b, int32_t wanted)
{
    while (!b->arrived) {
        ring_wait(b->ring, (struct duration){UINT64_MAX});
        ring_reap(b->ring);
    }
    b->arrived = false;
    return b->result == wanted;
}

static bool measure_write(struct bench *b, unsigned block, bool durable)
{
    struct ring_file file = {.number = b->fd};
    uint64_t offset = (uint64_t)block * DISK_BLOCK % SCRATCH_BYTES;
    ring_write(b->ring, b->owner, 0, file, b->zeros, DISK_BLOCK, offset, durable);
    return measure_wait(b, DISK_BLOCK);
}

static bool measure_flush(struct bench *b)
{
    struct ring_file file = {.number = b->fd};
    ring_fsync(b->ring, b->owner, 0, file);
    return measure_wait(b, 0);
}

/* The time since *last goes to a step. */
static void measure_note(struct bench *b, enum step step, struct instant *last)
{
    struct instant now = clock_now();
    b->ns[step][b->rounds] = instant_since(now, *last).ns;
    *last = now;
}

static bool measure_round(struct bench *b)
{
    struct instant last = clock_now();
    if (!measure_write(b, 2 * b->rounds, false))
        return false;
    measure_note(b, STEP_WRITE, &last);
    if (!measure_flush(b))
        return false;
    measure_note(b, STEP_FLUSH, &last);
    if (!measure_write(b, 2 * b->rounds + 1, true))
        return false;
    measure_note(b, STEP_DURABLE, &last);
    if (!measure_write(b, 2 * b->rounds, false))
        return false;
    last = clock_now();
    if (fdatasync(b->fd) != 0)
        return false;
    measure_note(b, STEP_SYNC, &last);
    b->rounds++;
    return true;
}

static int measure_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct duration measure_median(struct bench *b, enum step step)
{
    qsort(b->ns[step], b->rounds, sizeof b->ns[0][0], measure_order);
    return (struct duration){b->ns[step][b->rounds / 2]};
}

static bool measure_rounds(struct bench *b)
{
    struct instant until = instant_add(clock_now(), duration_ms(LIMIT_MS));
    bool well = true;
    while (well && b->rounds < ROUNDS && instant_before(clock_now(), until))
        well = measure_round(b);
    return well && b->rounds > 0;
}

static int measure_open(int directory, int flags)
{
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        fd = openat(directory, scratch_name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
        if (fd >= 0)
            unlinkat(directory, scratch_name, 0);
    }
    return fd;
}

/* Its blocks are written once and synced, as the log's are. */
static bool measure_prepare(struct bench *b)
{
    memset(b->zeros, 0, SCRATCH_BYTES);
    return pwrite(b->fd, b->zeros, SCRATCH_BYTES, 0) == SCRATCH_BYTES && fdatasync(b->fd) == 0;
}

struct measured measure_directory(struct ring *r, int directory, int flags)
{
    struct measured m = {.why = "no scratch file"};
    struct bench b = {.ring = r};
    struct statvfs fs;
    if (fstatvfs(directory, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize < SPACE_LEAST) {
        m.why = "too little space";
        return m;
    }
    b.zeros = aligned_alloc(DISK_BLOCK, SCRATCH_BYTES);
    if (!b.zeros)
        return m;
    b.fd = measure_open(directory, flags);
    if (b.fd < 0)
        goto err0;
    b.owner = ring_owner(r, measure_arrived, &b);
    m.done = measure_prepare(&b) && measure_rounds(&b);
    if (m.done) {
        m.write = measure_median(&b, STEP_WRITE);
        m.flush = measure_median(&b, STEP_FLUSH);
        m.durable = measure_median(&b, STEP_DURABLE);
        m.libc_sync = measure_median(&b, STEP_SYNC);
    }
    m.why = m.done ? NULL : "a write failed";
    ring_owner_gone(r, b.owner);
    close(b.fd);
err0:
    free(b.zeros);
    return m;
}
