/* loop.c - between the core and the connection.
 *
 * A turn sends first and sleeps before it reads: a request that is answered in one round trip costs send, poll,
 * receive. With spin_ns, it reads instead of sleeping for so long. What the connection has not taken stays in leat->out
 * and is offered again when there is room. */
#include "loop.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CONNECT_PATIENCE_S = 5, RECEIVES_PER_TURN = 16 };

struct instant loop_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (struct instant){(uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec};
}

static const struct io_ops *ops_of(const struct leat *l)
{
    return l->addresses[l->current].ops;
}

static struct io *io_of(const struct leat *l)
{
    return l->addresses[l->current].io;
}

/* The connection, or the attempt, is over; the next attempt goes to the next address. */
static void lost(struct leat *l, struct instant now)
{
    ops_of(l)->hang_up(io_of(l));
    l->connecting = l->linked = l->readable = l->unflushed = false;
    l->out_at = l->out_size = 0;
    client_disconnected(l->core, now);
    l->current = (l->current + 1) % l->addresses_count;
}

static void try_to_connect(struct leat *l, struct instant now)
{
    if (!l->connecting && !client_wants_connection(l->core, now))
        return;
    if (!l->connecting)
        l->connecting_since = now;
    l->connecting = true;
    enum io_progress progress = ops_of(l)->connect(io_of(l), l->trouble);
    l->starved = progress == IO_STARVED;
    if (progress == IO_DONE) {
        l->connecting = false;
        l->linked = true;
        client_connected(l->core, now);
    } else if (progress == IO_FAILED || progress == IO_STARVED) {
        lost(l, now);
    } else if (instant_since(now, l->connecting_since).ns > duration_s(CONNECT_PATIENCE_S).ns) {
        snprintf(l->trouble, sizeof l->trouble, "no answer to the attempt to connect");
        lost(l, now);
    }
}

/* Moves what the core says into `out` and what is there to the connection. False: the connection has ended. */
static bool send_all(struct leat *l, struct instant now)
{
    const struct io_ops *ops = ops_of(l);
    for (;;) {
        size_t n = 1;
        while (n > 0 && OUT_ROOM - l->out_size >= FRAME_MAX && !(ops->datagrams && l->out_size)) {
            n = client_output(l->core, l->out + l->out_size, OUT_ROOM - l->out_size, now);
            l->out_size += n;
        }
        if (l->out_size == 0)
            break;
        long taken = ops->send(io_of(l), l->out + l->out_at, l->out_size - l->out_at, l->trouble);
        if (taken < 0)
            return false;
        l->out_at += (size_t)taken;
        if (l->out_at < l->out_size)
            break; /* no room now */
        l->out_at = l->out_size = 0;
    }
    l->unflushed = !ops->flush(io_of(l));
    return true;
}

/* Whatever has come, up to a bound, so that nobody starves; *came: something had. False: the connection has ended. */
static bool receive_all(struct leat *l, struct instant now, bool *came)
{
    *came = false;
    for (unsigned i = 0; i < RECEIVES_PER_TURN; i++) {
        const uint8_t *bytes;
        long n = ops_of(l)->receive(io_of(l), &bytes, l->trouble);
        if (n < 0)
            return false;
        if (n == 0) {
            l->readable = false;
            return true;
        }
        *came = true;
        enum leat_status status = client_input(l->core, bytes, (size_t)n, now);
        if (status != LEAT_OK) {
            snprintf(l->trouble, sizeof l->trouble, "what answers is no broker of this version: %s",
                     status_text(status));
            return false;
        }
        if (!ops_of(l)->datagrams)
            return true; /* the next wait() tells whether there is more */
    }
    return true;
}

static void call_back(struct leat *l)
{
    struct leat_result r = {.leat = l};
    while (client_result(l->core, &r.core)) {
        struct waiter w = l->waiters[r.core.user];
        l->waiters[r.core.user].used = false;
        l->pending--;
        l->called++;
        r.offset = 0;
        w.callback(l, &r, w.user);
    }
}

/* Sleeps, or spins and then sleeps. */
static enum io_wake sleep_until(struct leat *l, struct instant until, struct instant now)
{
    const struct io_ops *ops = ops_of(l);
    struct instant due = instant_min(until, client_next_due(l->core));
    bool writable = l->out_size > 0 || l->unflushed;
    l->readable = false;
    if (l->linked && l->options.spin_ns && !writable) {
        struct instant spun = instant_min(due, instant_add(now, (struct duration){l->options.spin_ns}));
        bool came;
        do {
            if (!receive_all(l, now, &came)) {
                lost(l, now);
                return IO_READY;
            }
            if (came)
                return IO_READY; /* there may be something to say now */
            sched_yield();       /* the kernel's own threads may have to carry the bytes, on this very core */
            now = loop_now();
        } while (instant_before(now, spun));
    }
    if (l->connecting)
        due = instant_min(due, instant_add(l->connecting_since, duration_s(CONNECT_PATIENCE_S + 1)));
    enum io_wake wake = ops->wait(io_of(l), writable, instant_since(due, now));
    l->readable = wake == IO_READY;
    return wake;
}

enum io_wake loop_turn(struct leat *l, struct instant until)
{
    struct instant now = loop_now();
    enum io_wake wake = IO_READY;
    if (!l->linked)
        try_to_connect(l, now);
    if (l->linked) {
        client_tick(l->core, now);
        if (client_broken(l->core)) {
            snprintf(l->trouble, sizeof l->trouble, "the broker does not answer");
            lost(l, now);
        } else if (!send_all(l, now)) {
            lost(l, now);
        }
    }
    if (!client_has_result(l->core)) {
        wake = sleep_until(l, until, now);
        bool came;
        now = loop_now();
        if (l->linked && l->readable && !receive_all(l, now, &came))
            lost(l, now);
    }
    call_back(l);
    if (l->linked && !send_all(l, now)) /* what the answers and the callbacks have given us to say */
        lost(l, now);
    return wake;
}
