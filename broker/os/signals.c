/* signals.c - a signalfd, polled by the ring. */
#include "signals.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    struct ring *ring;
    int fd;
    uint8_t owner;
    unsigned stop;
    bool reload;
};

enum { SIGNALS_POLL = 1 };

static void signals_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    sigset_t set;
    signals_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void signals_ready(void *context, const struct ring_completion *c)
{
    struct signals *s = context;
    struct signalfd_siginfo info;
    while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            s->reload = true;
        else
            s->stop++;
    }
    if (!c->more && c->result >= 0)
        ring_poll_multishot(s->ring, s->owner, SIGNALS_POLL, s->fd, POLLIN);
}

enum leat_status signals_open(struct signals **out, struct ring *r)
{
    sigset_t set;
    signals_set(&set);
    struct signals *s = calloc(1, sizeof *s);
    if (!s)
        return LEAT_NO_MEMORY;
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0) {
        free(s);
        return LEAT_NO_MEMORY;
    }
    s->ring = r;
    s->owner = ring_owner(r, signals_ready, s);
    ring_poll_multishot(r, s->owner, SIGNALS_POLL, s->fd, POLLIN);
    *out = s;
    return LEAT_OK;
}

void signals_close(struct signals *s)
{
    ring_cancel(s->ring, s->owner, SIGNALS_POLL);
    ring_owner_gone(s->ring, s->owner);
    close(s->fd);
    free(s);
}

unsigned signals_stop(const struct signals *s)
{
    return s->stop;
}

bool signals_reload(struct signals *s)
{
    bool reload = s->reload;
    s->reload = false;
    return reload;
}
