/* child.c - posix_spawn, a pipe, and a pidfd to poll. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

bool child_exists(const char *command)
{
    if (strchr(command, '/'))
        return access(command, X_OK) == 0;
    const char *path = getenv("PATH"), *end;
    for (path = path ? path : "/usr/bin:/bin"; *path; path = *end ? end + 1 : end) {
        char file[4096];
        end = strchrnul(path, ':');
        int n = snprintf(file, sizeof file, "%.*s/%s", (int)(end - path), path, command);
        if (n < (int)sizeof file && access(file, X_OK) == 0)
            return true;
    }
    return false;
}

static int spawn(struct child *c, char *const argv[], char *const env[], int input)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    int rc = posix_spawnp(&c->pid, argv[0], &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

int child_start(struct child *c, char *const argv[], char *const env[], const char *bytes, size_t size)
{
    int ends[2];
    *c = (struct child){.bytes = bytes, .size = size, .input = -1, .ended = -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    int rc = spawn(c, argv, env, ends[0]);
    close(ends[0]);
    if (rc != 0) {
        close(ends[1]);
        errno = rc;
        return -1;
    }
    c->input = ends[1];
    fcntl(c->input, F_SETFL, O_NONBLOCK);
    c->ended = (int)syscall(SYS_pidfd_open, c->pid, 0);
    return 0;
}

/* What the pipe takes now; a command that reads no further is no error. */
static void write_some(struct child *c)
{
    while (c->written < c->size) {
        ssize_t n = write(c->input, c->bytes + c->written, c->size - c->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break;
        c->written += (size_t)n;
    }
    close(c->input);
    c->input = -1;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool child_wait(struct child *c, uint64_t timeout_ns, int *code)
{
    enum { WITHOUT_PIDFD_MS = 20 };
    uint64_t end = now_ns() + timeout_ns;
    for (;;) {
        if (c->input >= 0)
            write_some(c);
        int status;
        if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
            if (c->input >= 0)
                close(c->input);
            if (c->ended >= 0)
                close(c->ended);
            *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            return true;
        }
        uint64_t now = now_ns();
        if (now >= end)
            return false;
        uint64_t ms = (end - now) / 1000000 + 1;
        if (c->ended < 0 && ms > WITHOUT_PIDFD_MS)
            ms = WITHOUT_PIDFD_MS;
        struct pollfd p[2] = {{.fd = c->ended, .events = POLLIN}, {.fd = c->input, .events = POLLOUT}};
        poll(p, 2, ms > 60000 ? 60000 : (int)ms);
    }
}
