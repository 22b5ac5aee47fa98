/* limits_pair.c - one round of one limit: two processes that cannot outlive us.
 *
 *     parent                 end 1                      end 0
 *       fork  -------------->  prepare
 *       fork  --------------------------------------->  limits_pair_wait()
 *       poll both pipes        ready ---------------->  warm up, measure, fill the board
 *         'd' <---------------------------------------  done (and waits to be killed)
 *       kill end 1, kill end 0, collect both
 *
 * End 1 is killed first, so that it never sees its partner's memory or socket go away. A child that fails writes 'x'
 * after its sentence; one that crashes closes its pipe. Children get SIGKILL when the parent dies, however it dies. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "limits_pair.h"

struct child {
    pid_t pid;
    int pipe;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool limits_pair_fail(char *why, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, LIMITS_WHY, format, list);
    va_end(list);
    return false;
}

uint32_t limits_pair_wait(struct limits_board *b)
{
    uint64_t end = now_ns() + LIMITS_START_NS;
    while (!atomic_load(&b->ready) && now_ns() < end)
        poll(NULL, 0, 1);
    return atomic_load(&b->ready);
}

void limits_pair_percentiles(struct limits_board *b)
{
    static const uint32_t rank[] = {HIST_P50, HIST_P99, HIST_P999};
    for (unsigned i = 0; i < sizeof rank / sizeof rank[0]; i++)
        b->value[i] = (double)hist_at(&b->hist, rank[i]) * ticks_ns();
}

_Noreturn static void child_run(const struct limits_setup *s, struct limits_board *b, limits_end *end, unsigned which,
                                int pipe, pid_t parent)
{
    cpu_set_t cpu;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    signal(SIGPIPE, SIG_IGN);
    CPU_ZERO(&cpu);
    CPU_SET(s->cpu[which], &cpu);
    bool good = !sched_setaffinity(0, sizeof cpu, &cpu)
                    ? end(s, b, b->why[which])
                    : limits_pair_fail(b->why[which], "cannot run on core %u: %s", s->cpu[which], strerror(errno));
    char word = good ? 'd' : 'x';
    if (write(pipe, &word, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static bool child_start(struct child *c, const struct limits_setup *s, struct limits_board *b, limits_end *end,
                        unsigned which)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return false;
    c->pid = fork();
    if (c->pid == 0)
        child_run(s, b, end, which, ends[1], parent);
    close(ends[1]);
    if (c->pid < 0) {
        close(ends[0]);
        return false;
    }
    c->pipe = ends[0];
    return true;
}

static void child_end(struct child *c)
{
    if (c->pid <= 0)
        return;
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->pipe);
    c->pid = 0;
}

/* The end that has something to say: 0 or 1, or -1 when time is up. `word` is 'd', 'x', or 0 when it died. */
static int children_hear(const struct child *c, unsigned n, int timeout_ms, char *word)
{
    struct pollfd p[2];
    uint64_t end = now_ns() + (uint64_t)timeout_ms * 1000000;
    for (unsigned i = 0; i < n; i++)
        p[i] = (struct pollfd){.fd = c[i].pipe, .events = POLLIN};
    for (uint64_t now; (now = now_ns()) < end;) {
        if (poll(p, n, (int)((end - now) / 1000000) + 1) <= 0)
            continue;
        for (unsigned i = n; i-- > 0;) {
            if (p[i].revents == 0)
                continue;
            *word = 0;
            if (read(c[i].pipe, word, 1) < 0)
                *word = 0;
            return (int)i;
        }
    }
    return -1;
}

bool limits_pair_run(const struct limits_setup *s, struct limits_board *b, limits_end *const end[2], int timeout_ms,
                     char *why)
{
    struct child child[2] = {{0, -1}, {0, -1}};
    unsigned n = end[1] ? 2 : 1;
    char word = 0;
    int who = -1;
    memset(b, 0, sizeof *b);
    fflush(NULL);
    for (unsigned i = n; i-- > 0;)
        if (!child_start(&child[i], s, b, end[i], i)) {
            limits_pair_fail(why, "cannot start a process: %s", strerror(errno));
            goto err0;
        }
    who = children_hear(child, n, timeout_ms, &word);
    if (who < 0)
        limits_pair_fail(why, "not finished after %d s", timeout_ms / 1000);
    else if (word == 'x')
        limits_pair_fail(why, "%s", b->why[who]);
    else if (word == 0)
        limits_pair_fail(why, "%s", "a process died while measuring");
err0:
    child_end(&child[1]);
    child_end(&child[0]);
    return who == 0 && word == 'd';
}
