/* loop.c - what the shard's thread does all day.
 *
 *     step, step, step ... nothing happened for a while --> arm everything --> ring_wait --> disarm --> step ...
 *
 * There is one place to sleep, ring_wait(), and everything that may wake us completes there: disk, sockets, signals,
 * the local port's descriptor and the bell of the HTTP thread. Before sleeping each of them is asked to wake us and
 * looked at once more, so nothing that comes in between is slept through. With `spin` we do not
 * sleep, but where there are only two cores and the other may be a client's that spins as well, the kernel's disk
 * worker has none to run on (a flush then takes 4 to 30 ms instead of 0.1): while somebody waits for the disk and
 * nothing else is to do, we lend it ours for up to 100 us at a time.
 *
 * The poll of the local port's descriptor is asked for only when we go to sleep: disarming drains it, and a poll that
 * is asked for anew says at once what is there already. */
#include "loop.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "cores.h"
#include "metrics.h"

enum { WATCH_LOCAL = 1, WATCH_BELL = 2, STOP_S = 5, YIELD_US = 100 };

struct loop {
    struct broker *b;
    uint8_t owner;                    /* of our polls in the ring */
    bool local_watched, bell_watched; /* a poll is under way */
    bool stopping;
    struct instant stop_by;
    struct instant idle_since; /* the last iteration in which something happened */
    uint64_t sleeps;
    bool crowded; /* no core is free for the kernel's disk worker beside a spinning client and us */
};

static void on_watch(void *context, const struct ring_completion *c)
{
    struct loop *l = context;
    if (c->tag == WATCH_BELL) {
        l->bell_watched = false;
        bell_silence(&l->b->bell);
    } else {
        l->local_watched = false;
    }
}

static void watch(struct loop *l)
{
    struct broker *b = l->b;
    if (b->local && !l->local_watched) {
        ring_poll(b->ring, l->owner, WATCH_LOCAL, local_wake_fd(b->local), POLLIN);
        l->local_watched = true;
    }
    if (b->http && !l->bell_watched) {
        ring_poll(b->ring, l->owner, WATCH_BELL, b->bell.fd, POLLIN);
        l->bell_watched = true;
    }
}

static void unwatch(struct loop *l)
{
    if (l->local_watched)
        ring_cancel(l->b->ring, l->owner, WATCH_LOCAL);
    if (l->bell_watched)
        ring_cancel(l->b->ring, l->owner, WATCH_BELL);
    ring_owner_gone(l->b->ring, l->owner);
}

/* The HTTP thread asks for the counters of the ports, which belong to this thread. */
static unsigned answer_letters(struct loop *l)
{
    struct broker *b = l->b;
    struct letter *letter = b->http ? mailbox_receive(http_program_mailbox(b->http)) : NULL;
    if (!letter)
        return 0;
    struct port_counters *p = letter->ports;
    *p = (struct port_counters){.has_tcp = b->tcp != NULL,
                                .has_local = b->local != NULL,
                                .ring = ring_counters(b->ring),
                                .disk = disk_facts(b->disk),
                                .sleeps = l->sleeps};
    if (b->tcp)
        p->tcp = tcp_uring_counters(b->tcp);
    if (b->local)
        local_count(b->local, &p->local);
    mailbox_answer(http_program_mailbox(b->http), letter);
    return 1;
}

/* Sleeps until woken, for `most` at the longest. */
static void sleep_until_woken(struct loop *l, struct duration most)
{
    struct broker *b = l->b;
    struct mailbox *letters = b->http ? http_program_mailbox(b->http) : NULL;
    if (!shard_arm(b->shard))
        return;
    if (!letters || mailbox_arm(letters)) {
        watch(l);
        struct instant due = shard_next_due(b->shard), now = clock_now();
        if (l->stopping)
            due = instant_min(due, l->stop_by);
        struct duration limit = due.ns == INSTANT_NEVER.ns ? (struct duration){UINT64_MAX} : instant_since(due, now);
        if (most.ns < limit.ns)
            limit = most;
        if (limit.ns > 0) {
            l->sleeps++;
            ring_wait(b->ring, limit);
        }
    }
    if (letters)
        mailbox_disarm(letters);
    shard_disarm(b->shard);
}

/* Whether it is over, and with which code. */
static bool ended(struct loop *l, struct instant now, enum exits *code)
{
    struct broker *b = l->b;
    unsigned stops = signals_stop(b->signals);
    if (stops > 0 && !l->stopping) {
        shard_stop(b->shard); /* there is work again: a step before any sleep */
        l->stopping = true;
        l->idle_since = now;
        l->stop_by = instant_add(now, duration_s(STOP_S));
    }
    if (stops > 1)
        _exit(EXITS_AT_ONCE);
    if (shard_error(b->shard) != LEAT_OK) {
        start_complain("%s: nothing was acknowledged after that", status_text(shard_error(b->shard)));
        *code = EXITS_DISK;
        return true;
    }
    if (l->stopping && !shard_stopped(b->shard) && instant_before(now, l->stop_by))
        return false;
    if (l->stopping && !shard_stopped(b->shard))
        start_complain("the disk did not take everything within %d s: what was not acknowledged may be lost", STOP_S);
    *code = l->stopping && !shard_stopped(b->shard) ? EXITS_DISK : EXITS_OK;
    return l->stopping;
}

enum exits loop_run(struct broker *b)
{
    struct loop l = {.b = b, .idle_since = clock_now(), .crowded = cores_count() < 3};
    enum exits code = EXITS_OK;
    const struct duration patience = {b->config->spin};
    l.owner = ring_owner(b->ring, on_watch, &l);
    for (;;) {
        struct instant now = clock_now();
        unsigned happened = shard_step(b->shard, now) + answer_letters(&l) + ring_reap(b->ring);
        ring_submit(b->ring);
        if (ended(&l, now, &code))
            break;
        if (happened > 0)
            l.idle_since = now;
        else if (b->config->poll == POLL_SPIN && l.crowded && shard_waits(b->shard))
            sleep_until_woken(&l, duration_us(YIELD_US));
        else if (l.idle_since.ns != now.ns && b->config->poll == POLL_ADAPTIVE &&
                 instant_since(now, l.idle_since).ns >= patience.ns)
            sleep_until_woken(&l, (struct duration){UINT64_MAX});
    }
    unwatch(&l);
    return code;
}
