/* io_local.c - vhost:// for libleat: the door of client/io.h, filled in over client_io.h.
 *
 * A connection is one virtio-user device; hanging up only forgets it, and the next connect plugs it anew. Nothing tells
 * that the broker has died: the core's pings notice. This file is part of libleat-dpdk and of no program's own objects,
 * so that libleat itself never needs DPDK. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_io.h"
#include "must.h"

#include "io.h"
#include "leat.h"

struct io {
    struct client_io *port; /* NULL before the first connection */
    bool connected, held;
    struct client_io_bytes in; /* received last, if held */
    char path[108];
    char extra[512];
};

static struct io *local_open(const char *path, const char *extra, char *why)
{
    struct io *io = calloc(1, sizeof *io);
    if (!io) {
        snprintf(why, LEAT_ERROR_MAX, "no memory for a connection");
        return NULL;
    }
    if (*path == 0 || strlen(path) >= sizeof io->path || (extra && strlen(extra) >= sizeof io->extra)) {
        snprintf(why, LEAT_ERROR_MAX, "vhost://PATH: the path is empty or too long (%zu bytes at most)",
                 sizeof io->path - 1);
        free(io);
        return NULL;
    }
    strcpy(io->path, path);
    if (extra)
        strcpy(io->extra, extra);
    return io;
}

static void let_go(struct io *io)
{
    if (io->held)
        client_io_done(io->port, &io->in, 1);
    io->held = false;
}

static enum io_progress local_connect(struct io *io, char *why)
{
    if (io->port) {
        io->connected = client_io_reopen(io->port, why, LEAT_ERROR_MAX);
    } else {
        struct client_io_options o = {.path = io->path, .eal = io->extra[0] ? io->extra : NULL};
        io->port = client_io_open(&o, why, LEAT_ERROR_MAX);
        io->connected = io->port != NULL;
    }
    return io->connected ? IO_DONE : IO_FAILED;
}

static long local_send(struct io *io, const uint8_t *bytes, size_t size, char *why)
{
    (void)why;
    must(size <= CLIENT_IO_FRAMES_MAX);
    return client_io_send(io->port, bytes, (uint32_t)size) ? (long)size : 0;
}

static bool local_flush(struct io *io)
{
    return client_io_flush(io->port);
}

static long local_receive(struct io *io, const uint8_t **bytes, char *why)
{
    (void)why;
    let_go(io);
    io->held = client_io_receive(io->port, &io->in, 1) == 1;
    *bytes = io->in.data;
    return io->held ? (long)io->in.size : 0;
}

static enum io_wake local_wait(struct io *io, bool writable, struct duration time)
{
    uint64_t ms = time.ns / 1000000 + (time.ns % 1000000 != 0);
    if (writable && ms > 1)
        ms = 1; /* nothing tells when the ring has room again */
    if (io->connected)
        return client_io_wait(io->port, ms > 60000 ? 60000 : (unsigned)ms) ? IO_READY : IO_TIME;
    struct timespec t = {.tv_sec = (time_t)(time.ns / 1000000000), .tv_nsec = (long)(time.ns % 1000000000)};
    return nanosleep(&t, NULL) == 0 ? IO_TIME : IO_SIGNAL;
}

static void local_hang_up(struct io *io)
{
    let_go(io);
    io->connected = false;
}

static void local_close(struct io *io)
{
    let_go(io);
    if (io->port)
        client_io_close(io->port);
    free(io);
}

static int local_fd(const struct io *io)
{
    (void)io;
    return -1; /* its descriptor is only awake when it was armed: leat_poll() does that */
}

void leat_vhost_register(void)
{
    static const struct io_ops ops = {.scheme = "vhost",
                                      .datagrams = true,
                                      .datagram_max = CLIENT_IO_FRAMES_MAX,
                                      .open = local_open,
                                      .connect = local_connect,
                                      .send = local_send,
                                      .flush = local_flush,
                                      .receive = local_receive,
                                      .wait = local_wait,
                                      .hang_up = local_hang_up,
                                      .close = local_close,
                                      .fd = local_fd};
    leat_io_register(&ops);
}
