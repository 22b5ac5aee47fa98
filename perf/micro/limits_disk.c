/* limits_disk.c - what the disk allows: a durable 4 KiB write (W), a bare flush (F), a stream of 1 MiB writes (B).
 *
 * All three work on one file of 64 MiB that was written with zeros and flushed before, as the journal's segments are:
 * a write into it changes no metadata, so fdatasync() has no journal commit to wait for. Plain io_uring: one ring,
 * O_DIRECT, a registered buffer, a registered file, DEFER_TASKRUN; the process waits in io_uring_enter.
 *
 * W: a 4 KiB write at the next place and an fdatasync, linked, submitted by one system call; when both are done, the
 *   next. The file is walked from its start to its end and again. What is written differs each time. The mean is the
 *   whole time by the number of pairs: what a program that only counts can be compared with.
 * F: the fdatasync alone, with nothing written since the last one: what a flush of the device costs.
 * B: four 1 MiB writes under way at any time, front to back; one fdatasync at the end counts into the time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "limits_pair.h"

enum { FILE_BYTES = 64 << 20, SMALL = 4096, LARGE = 1 << 20, STREAM_DEPTH = 4, BUFFERS_BYTES = STREAM_DEPTH * LARGE };

struct disk {
    struct io_uring ring;
    uint8_t *buffer;
};

/* The file, written once through, with the caches of file system and device flushed. */
static int file_open(const char *folder, uint8_t *buffer, char *why)
{
    char path[LIMITS_PATH + 16];
    snprintf(path, sizeof path, "%s/disk", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0) {
        limits_pair_fail(why, "cannot open %s for direct writes: %s", path, strerror(errno));
        return -1;
    }
    memset(buffer, 0, LARGE);
    for (off_t at = 0; at < FILE_BYTES; at += LARGE)
        if (pwrite(fd, buffer, LARGE, at) != LARGE) {
            limits_pair_fail(why, "cannot write %s: %s", path, strerror(errno));
            return -1;
        }
    if (fsync(fd)) {
        limits_pair_fail(why, "cannot flush %s: %s", path, strerror(errno));
        return -1;
    }
    return fd;
}

static bool disk_open(struct disk *d, const struct limits_setup *s, char *why)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                         IORING_SETUP_TASKRUN_FLAG};
    struct io_uring_params plain = {0};
    d->buffer = aligned_alloc(SMALL, BUFFERS_BYTES);
    if (!d->buffer)
        return limits_pair_fail(why, "no memory");
    int fd = file_open(s->scratch, d->buffer, why);
    if (fd < 0)
        return false;
    for (size_t i = 0; i < BUFFERS_BYTES; i++)
        d->buffer[i] = (uint8_t)(i * 2654435761u >> 13);
    int error = io_uring_queue_init_params(8, &d->ring, &p);
    if (error == -EINVAL)
        error = io_uring_queue_init_params(8, &d->ring, &plain);
    struct iovec whole = {d->buffer, BUFFERS_BYTES};
    if (!error)
        error = io_uring_register_buffers(&d->ring, &whole, 1);
    if (!error)
        error = io_uring_register_files(&d->ring, &fd, 1);
    return !error || limits_pair_fail(why, "no io_uring: %s", strerror(-error));
}

static void ask_write(struct disk *d, unsigned buffer_at, unsigned size, uint64_t at, unsigned flags)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&d->ring);
    io_uring_prep_write_fixed(e, 0, d->buffer + buffer_at, size, at, 0);
    e->flags |= (uint8_t)(IOSQE_FIXED_FILE | flags);
    e->user_data = size | (uint64_t)buffer_at << 32;
}

static void ask_flush(struct disk *d)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&d->ring);
    io_uring_prep_fsync(e, 0, IORING_FSYNC_DATASYNC);
    e->flags |= IOSQE_FIXED_FILE;
    e->user_data = 0;
}

/* Submits what was asked, waits for `wait` completions and takes one; its result must be what user_data says. */
static bool take_one(struct disk *d, unsigned wait, uint64_t *user_data, char *why)
{
    struct io_uring_cqe *c;
    struct __kernel_timespec patience = {.tv_sec = 10};
    int error = io_uring_submit_and_wait_timeout(&d->ring, &c, wait, &patience, NULL);
    if (error < 0)
        return limits_pair_fail(why, "the disk does not answer: %s", strerror(-error));
    int result = c->res;
    *user_data = c->user_data;
    io_uring_cqe_seen(&d->ring, c);
    if (result < 0)
        return limits_pair_fail(why, "the disk failed: %s", strerror(-result));
    return result == (int)(uint32_t)*user_data || limits_pair_fail(why, "the disk wrote only %d bytes", result);
}

/* Write (unless `size` is 0) and flush, again and again; each pair is one sample. */
static bool measure(const struct limits_setup *s, struct limits_board *b, unsigned size, char *why)
{
    struct disk d;
    uint64_t unused;
    if (!disk_open(&d, s, why))
        return false;
    uint64_t warm = ticks_now() + ticks_of(s->seconds / 10), end = warm + ticks_of(s->seconds);
    uint64_t at = 0, start = 0;
    for (uint64_t then = 0, round = 0; then < end; round++) {
        memcpy(d.buffer, &round, sizeof round);
        then = ticks_now();
        if (size)
            ask_write(&d, 0, size, at, IOSQE_IO_LINK);
        ask_flush(&d);
        if ((size && !take_one(&d, 2, &unused, why)) || !take_one(&d, 1, &unused, why))
            return false;
        at = (at + size) % FILE_BYTES;
        if (then < warm)
            continue;
        start = start ? start : then;
        hist_record(&b->hist, ticks_now() - then);
    }
    b->value[3] = (double)(ticks_now() - start) * ticks_ns() / (double)b->hist.count;
    limits_pair_percentiles(b);
    return true;
}

bool limits_disk_write(const struct limits_setup *s, struct limits_board *b, char *why)
{
    return measure(s, b, SMALL, why);
}

bool limits_disk_flush(const struct limits_setup *s, struct limits_board *b, char *why)
{
    return measure(s, b, 0, why);
}

bool limits_disk_stream(const struct limits_setup *s, struct limits_board *b, char *why)
{
    struct disk d;
    uint64_t done = 0, at = 0, which;
    if (!disk_open(&d, s, why))
        return false;
    uint64_t start = ticks_now(), end = start + ticks_of(s->seconds);
    unsigned under_way = 0;
    for (; under_way < STREAM_DEPTH; under_way++, at += LARGE)
        ask_write(&d, under_way * LARGE, LARGE, at, 0);
    while (under_way > 0) {
        if (!take_one(&d, 1, &which, why))
            return false;
        done += LARGE;
        under_way--;
        if (ticks_now() >= end)
            continue;
        ask_write(&d, (unsigned)(which >> 32), LARGE, at % FILE_BYTES, 0);
        at += LARGE;
        under_way++;
    }
    ask_flush(&d);
    if (!take_one(&d, 1, &which, why))
        return false;
    b->value[0] = (double)done * 1e3 / ((double)(ticks_now() - start) * ticks_ns()); /* MB/s */
    return true;
}
