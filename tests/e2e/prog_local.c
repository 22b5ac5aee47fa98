/* prog_local.c - the local port on the real thing: brokers and clients as processes of their own, over DPDK.
 *
 * Each story forks an echo broker and some clients (DPDK starts once per process, so the parent never starts it),
 * watches them through pipes and a shared page, and kills some. Every wait has a time-out, and children die with their
 * parent. With --measure it prints round trips instead. The last line is the sum. */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_io.h"
#include "eal.h"
#include "frame.h"
#include "local.h"

enum { WAIT_MS = 20000, REPLY_MS = 200, SPIN_NS = 50000, NOBODY = 65534, KILLS = 200, FRAME = 128, HANG_UP = 0xdead };

/* What the processes of one story share. */
static struct board {
    struct local_counters count;
    _Atomic uint64_t sleeps; /* times that the broker's poll() returned */
    _Atomic int stop;        /* the broker shall end */
    _Atomic int spin;        /* the broker shall not sleep */
    _Atomic uint64_t rounds; /* of all clients */
} * board;

static char dir[64], path[96];
static int passed, failed, skipped;
static bool as_nobody;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

struct child {
    pid_t pid;
    int pipe; /* the child writes a byte when it has something to say */
};

/* Says one byte to the parent. */
static void say(int pipe, char c)
{
    if (write(pipe, &c, 1) != 1)
        _exit(3);
}

/* Waits for a byte of a child; 0 when it has ended or time is up. */
static char hear(const struct child *c, int ms)
{
    struct pollfd p = {.fd = c->pipe, .events = POLLIN};
    char byte = 0;
    if (poll(&p, 1, ms) != 1 || read(c->pipe, &byte, 1) != 1)
        return 0;
    return byte;
}

/* Forks a child that runs `run` with the writing end of its pipe, and exits with its answer. */
static struct child start(int (*run)(int pipe, int argument), int argument)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        abort();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        if (as_nobody && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
            _exit(4);
        _exit(run(ends[1], argument));
    }
    close(ends[1]);
    return (struct child){pid, ends[0]};
}

/* The exit code of a child, or -1 when a signal or we had to end it. */
static int finish(struct child *c, int ms)
{
    int status = -1;
    struct pollfd p = {.fd = c->pipe, .events = 0};
    uint64_t end = now_ns() + (uint64_t)ms * 1000000;
    while (now_ns() < end && !(p.revents & POLLHUP))
        poll(&p, 1, 10);
    if (!(p.revents & POLLHUP))
        kill(c->pid, SIGKILL);
    waitpid(c->pid, &status, 0);
    close(c->pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void slay(struct child *c)
{
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    close(c->pipe);
}

/* ---- the broker: sends every frame back to where it came from ---- */

static void echo(struct transport *t, const struct transport_packet *p)
{
    for (uint32_t at = 0; at < p->size;) {
        uint32_t size = (uint32_t)frame_size(p->data + at, p->size - at);
        struct frame f;
        if (frame_decode(&f, p->data + at, size) == LEAT_OK && f.session == HANG_UP)
            t->ops->hang_up(t, p->peer);
        uint8_t *to = t->ops->reserve(t, p->peer, size);
        if (to) {
            memcpy(to, p->data + at, size);
            t->ops->commit(t, p->peer, size);
        }
        at += size;
    }
}

static void broker_sleep(struct local_port *port, struct transport *t)
{
    struct pollfd p = {.fd = local_wake_fd(port), .events = POLLIN};
    if (board->spin || !t->ops->arm(t))
        return;
    if (poll(&p, 1, 100) > 0)
        board->sleeps++;
    t->ops->disarm(t);
}

static int broker(int pipe, int unused)
{
    char why[256];
    struct eal_options eal = {.name = "leat-test", .extra = as_nobody ? "--no-huge" : NULL, .memory_mb = 512};
    enum leat_status status;
    (void)unused;
    if (!eal_start(&eal, why, sizeof why)) {
        printf("# %s\n", why);
        return 5;
    }
    struct local_port *port = local_open(path, &status, why, sizeof why);
    if (!port) {
        printf("# %s: %s\n", status_name(status), why);
        return 6;
    }
    struct transport *t = local_transport(port);
    struct transport_packet packets[TRANSPORT_BURST];
    uint64_t last = now_ns();
    say(pipe, 'r');
    while (!board->stop) {
        unsigned n = t->ops->receive(t, packets, TRANSPORT_BURST);
        for (unsigned i = 0; i < n; i++)
            if (packets[i].size)
                echo(t, &packets[i]);
        t->ops->done(t, packets, n);
        t->ops->flush(t);
        if (n > 0) {
            last = now_ns();
            continue;
        }
        local_count(port, &board->count);
        if (now_ns() - last > SPIN_NS)
            broker_sleep(port, t);
    }
    local_close(port);
    return 0;
}

static struct child broker_start(void)
{
    board->stop = 0;
    struct child c = start(broker, 0);
    if (hear(&c, WAIT_MS) != 'r')
        printf("# the broker did not start\n");
    return c;
}

static int broker_stop(struct child *c)
{
    board->stop = 1;
    return finish(c, WAIT_MS);
}

/* ---- clients ---- */

static struct client_io *client_open(void)
{
    char why[256];
    struct client_io_options o = {.path = path, .memory_mb = 64, .eal = as_nobody ? "--no-huge" : NULL};
    struct client_io *io = client_io_open(&o, why, sizeof why);
    if (!io)
        printf("# %s\n", why);
    return io;
}

static void frame_fill(uint8_t *bytes, uint32_t size, uint64_t number)
{
    memset(bytes, (int)(number & 0xff), size);
    frame_begin(bytes, 0, 7);
    memcpy(bytes + FRAME_HEADER, &number, sizeof number);
    frame_end(bytes, size);
}

/* Waits for the echo of one frame. `block`: by sleeping. */
static bool reply_is(struct client_io *io, const uint8_t *frame, uint32_t size, bool block)
{
    struct client_io_bytes in[32];
    uint64_t end = now_ns() + REPLY_MS * 1000000ull;
    while (now_ns() < end) {
        unsigned n = client_io_receive(io, in, 32);
        bool good = n > 0 && in[0].size == size && !memcmp(in[0].data, frame, size);
        client_io_done(io, in, n);
        if (n > 0)
            return good;
        if (block)
            client_io_wait(io, REPLY_MS);
    }
    return false;
}

static bool round_trip(struct client_io *io, uint32_t size, uint64_t number, bool block)
{
    static uint8_t frame[CLIENT_IO_FRAMES_MAX] __attribute__((aligned(64)));
    frame_fill(frame, size, number);
    if (!client_io_send(io, frame, size))
        return false;
    client_io_flush(io);
    return reply_is(io, frame, size, block);
}

static int client_rounds(int pipe, int rounds)
{
    struct client_io *io = client_open();
    if (!io)
        return 5;
    say(pipe, 'c');
    for (int i = 0; i < rounds; i++) {
        uint32_t size = 24 + 8 * ((uint32_t)i * 37 % ((CLIENT_IO_FRAMES_MAX - 24) / 8 + 1));
        if (!round_trip(io, size, (uint64_t)i, false)) {
            printf("# round %d of size %u failed\n", i, size);
            return 6;
        }
        board->rounds++;
    }
    client_io_close(io);
    return 0;
}

static int client_blocking(int pipe, int rounds)
{
    struct client_io *io = client_open();
    if (!io)
        return 5;
    say(pipe, 'c');
    for (int i = 0; i < rounds; i++) {
        pause_ms(1); /* long enough for both ends to fall asleep */
        if (!round_trip(io, FRAME, (uint64_t)i, true))
            return 6;
    }
    client_io_close(io);
    return 0;
}

/* Sends as fast as it can, for ever; reads what comes. */
static int client_flood(int pipe, int reads)
{
    uint8_t frame[FRAME] __attribute__((aligned(8)));
    struct client_io_bytes in[32];
    struct client_io *io = client_open();
    if (!io)
        return 5;
    say(pipe, 'c');
    for (uint64_t i = 0;; i++) {
        frame_fill(frame, sizeof frame, i);
        for (int k = 0; k < 32; k++)
            if (!client_io_send(io, frame, sizeof frame))
                break;
        client_io_flush(io);
        if (reads)
            client_io_done(io, in, client_io_receive(io, in, 32));
    }
}

/* Echoes for ever; when answers stop, finds the broker again, and says so. */
static int client_faithful(int pipe, int unused)
{
    char why[256];
    struct client_io *io = client_open();
    if (!io)
        return 5 + unused;
    say(pipe, 'c');
    for (uint64_t i = 0;; i++) {
        if (round_trip(io, FRAME, i, false)) {
            board->rounds++;
            continue;
        }
        while (!client_io_reopen(io, why, sizeof why) || !round_trip(io, FRAME, ++i, false))
            pause_ms(5);
        say(pipe, 'f');
    }
}

static int client_idle(int pipe, int unused)
{
    struct client_io *io = client_open();
    if (!io || !round_trip(io, FRAME, 1, false))
        return 5 + unused;
    say(pipe, 'c');
    while (!client_io_wait(io, WAIT_MS))
        ;
    return 6; /* nothing was to come */
}

static int client_garbage(int pipe, int rounds)
{
    uint64_t junk[64];
    struct client_io_bytes in[32];
    struct client_io *io = client_open();
    if (!io)
        return 5;
    say(pipe, 'c');
    for (int i = 0; i < rounds; i++) {
        for (int k = 0; k < 64; k++)
            junk[k] = (uint64_t)random() * 0x9e3779b97f4a7c15u;
        frame_begin((uint8_t *)junk, 0, 7);
        if (i % 2)
            junk[0] = (uint64_t)i << 32;
        else
            frame_end((uint8_t *)junk, 8 * (uint32_t)(2 + i % 60));
        client_io_send(io, junk, sizeof junk);
        client_io_flush(io);
        client_io_done(io, in, client_io_receive(io, in, 32));
    }
    client_io_close(io);
    return 0;
}

static int client_hung_up_on(int pipe, int unused)
{
    char why[256];
    uint8_t frame[FRAME] __attribute__((aligned(8)));
    struct client_io *io = client_open();
    (void)unused;
    if (!io || !round_trip(io, FRAME, 1, false))
        return 5;
    say(pipe, 'c');
    frame_fill(frame, sizeof frame, 2);
    frame_begin(frame, 0, HANG_UP);
    frame_end(frame, sizeof frame);
    client_io_send(io, frame, sizeof frame);
    client_io_flush(io);
    if (reply_is(io, frame, sizeof frame, false))
        return 6;
    if (!client_io_reopen(io, why, sizeof why) || !round_trip(io, FRAME, 3, false))
        return 7;
    client_io_close(io);
    return 0;
}

/* ---- stories ---- */

static void verdict(const char *story, bool good)
{
    printf("%s %s\n", good ? "ok    " : "FAILED", story);
    good ? passed++ : failed++;
}

static void run_clients(const char *story, int (*run)(int, int), int argument, int clients)
{
    struct child b = broker_start(), c[8];
    bool good = true;
    for (int i = 0; i < clients; i++)
        c[i] = start(run, argument);
    for (int i = 0; i < clients; i++) {
        int code = finish(&c[i], 3 * WAIT_MS);
        if (code)
            printf("# client %d ended with %d\n", i, code);
        good = good && code == 0;
    }
    good = broker_stop(&b) == 0 && good;
    verdict(story, good);
}

static void story_kills(void)
{
    enum { AT_ONCE = 6 };
    struct child b = broker_start(), witness = start(client_faithful, 0), c[AT_ONCE];
    bool good = hear(&witness, WAIT_MS) == 'c';
    int killed = 0;
    for (int i = 0; i < AT_ONCE; i++)
        c[i] = start(client_flood, 1);
    while (good && killed < KILLS)
        for (int i = 0; i < AT_ONCE && good; i++) {
            good = hear(&c[i], WAIT_MS) == 'c';
            pause_ms((int)(random() % 4));
            slay(&c[i]);
            killed++;
            c[i] = start(client_flood, killed % 2);
        }
    for (int i = 0; i < AT_ONCE; i++)
        slay(&c[i]);
    char again = hear(&witness, 0); /* a byte would say that it had to look for its broker */
    uint64_t rounds = board->rounds;
    for (uint64_t end = now_ns() + WAIT_MS * 1000000ull; now_ns() < end && board->rounds < rounds + 1000;)
        pause_ms(10);
    good = good && again == 0 && board->rounds >= rounds + 1000 && waitpid(b.pid, NULL, WNOHANG) == 0;
    slay(&witness);
    for (uint64_t end = now_ns() + WAIT_MS * 1000000ull; now_ns() < end && board->count.joined != board->count.left;)
        pause_ms(10);
    printf("# %d clients killed, %ju joined, %ju left, %ju packets in, %ju refused\n", killed,
           (uintmax_t)board->count.joined, (uintmax_t)board->count.left, (uintmax_t)board->count.packets_in,
           (uintmax_t)board->count.refused);
    good = good && board->count.joined == board->count.left && board->count.joined > KILLS;
    good = broker_stop(&b) == 0 && good;
    verdict("200 clients killed by -9 under load leave the broker and a neighbour unharmed", good);
}

static void story_restart(void)
{
    struct child b = broker_start(), c = start(client_faithful, 0);
    bool good = hear(&c, WAIT_MS) == 'c';
    for (int i = 0; i < 3 && good; i++) {
        pause_ms(100);
        slay(&b);
        b = broker_start();
        good = hear(&c, WAIT_MS) == 'f';
    }
    slay(&c);
    good = broker_stop(&b) == 0 && good;
    verdict("a client finds its broker again after each of three kills", good);
}

static void story_idle(void)
{
    struct child b = broker_start(), c[3];
    bool good = true;
    for (int i = 0; i < 3; i++) {
        c[i] = start(client_idle, 0);
        good = hear(&c[i], WAIT_MS) == 'c' && good;
    }
    pause_ms(200);
    uint64_t before = board->sleeps;
    pause_ms(2000);
    uint64_t wakes = board->sleeps - before;
    printf("# %ju wake-ups in 2 s with 3 idle clients\n", (uintmax_t)wakes);
    for (int i = 0; i < 3; i++)
        slay(&c[i]);
    good = broker_stop(&b) == 0 && good && wakes <= 2;
    verdict("an idle port wakes nobody", good);
}

static void story_slow(void)
{
    struct child b = broker_start(), deaf = start(client_flood, 0);
    bool good = hear(&deaf, WAIT_MS) == 'c';
    struct child c = start(client_rounds, 2000);
    good = good && hear(&c, WAIT_MS) == 'c' && finish(&c, WAIT_MS) == 0 && board->count.refused > 0;
    slay(&deaf);
    good = broker_stop(&b) == 0 && good;
    verdict("a client that never reads is refused, and its neighbour is served", good);
}

/* Opens the port at a bad place; the exit code is the status. */
static int opener(int pipe, int which)
{
    static const char *const bad[] = {"", "/leat.sock", "/file", "/none/leat.sock"};
    struct eal_options eal = {.name = "leat-test", .memory_mb = 64};
    char where[256], why[256] = "";
    enum leat_status status;
    (void)pipe;
    if (!eal_start(&eal, why, sizeof why))
        return 255;
    memset(where, 'x', sizeof where - 1);
    where[sizeof where - 1] = 0;
    if (which < 4)
        snprintf(where, sizeof where, "%s%s", which ? dir : "", bad[which]);
    struct local_port *port = local_open(where, &status, why, sizeof why);
    printf("#   %s\n", why);
    return port ? 0 : (int)status;
}

static void story_bad_places(void)
{
    static const int expected[] = {LEAT_BAD_VALUE, LEAT_ADDRESS_IN_USE, LEAT_ADDRESS_IN_USE, LEAT_BAD_VALUE,
                                   LEAT_BAD_VALUE};
    struct child b = broker_start();
    char file[128];
    bool good = true;
    snprintf(file, sizeof file, "%s/file", dir);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < 5; i++) {
        struct child c = start(opener, i);
        int code = finish(&c, WAIT_MS);
        if (code != expected[i])
            printf("# place %d: %d instead of %d\n", i, code, expected[i]);
        good = good && code == expected[i];
    }
    struct child c = start(client_rounds, 100);
    good = finish(&c, WAIT_MS) == 0 && good;
    good = broker_stop(&b) == 0 && good;
    verdict("bad paths, a living neighbour and a foreign file are refused with a sentence", good);
}

static void story_nobody(void)
{
    if (getuid() != 0) {
        skipped++;
        return (void)printf("SKIPPED: a plain user without huge pages: needs root to become one\n");
    }
    unlink(path);
    strcat(dir, "/n");
    if (mkdir(dir, 0700) || chown(dir, NOBODY, NOBODY))
        abort();
    snprintf(path, sizeof path, "%s/leat.sock", dir);
    as_nobody = true;
    run_clients("a plain user without huge pages: broker and three clients", client_rounds, 3000, 3);
    as_nobody = false;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int client_measure(int pipe, int block)
{
    enum { SAMPLES = 200000 };
    static uint64_t ns[SAMPLES];
    int samples = block ? 1000 : SAMPLES;
    struct client_io *io = client_open();
    if (!io)
        return 5;
    say(pipe, 'c');
    for (int i = 0; i < samples; i++) {
        if (block)
            pause_ms(1);
        uint64_t t = now_ns();
        if (!round_trip(io, FRAME, (uint64_t)i, block))
            return 6;
        ns[i] = now_ns() - t;
    }
    qsort(ns, (size_t)samples, sizeof ns[0], compare_u64);
    printf("%s: p50 %ju ns, p99 %ju ns, %d samples\n", block ? "sleeping" : "spinning", (uintmax_t)ns[samples / 2],
           (uintmax_t)ns[samples - samples / 100], samples);
    client_io_close(io);
    return 0;
}

static int measure(void)
{
    struct child b = broker_start();
    board->spin = 1;
    struct child c = start(client_measure, 0);
    finish(&c, WAIT_MS);
    board->spin = 0;
    c = start(client_measure, 1);
    finish(&c, WAIT_MS);
    return broker_stop(&b);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(dir, "/tmp/leat-local-XXXXXX");
    if (board == MAP_FAILED || !mkdtemp(dir) || chmod(dir, 0755))
        return 1;
    snprintf(path, sizeof path, "%s/leat.sock", dir);
    if (argc > 1 && !strcmp(argv[1], "--measure"))
        return measure();
    run_clients("one client, frames of every size come back", client_rounds, 20000, 1);
    run_clients("three clients at once", client_rounds, 5000, 3);
    run_clients("both ends asleep between requests", client_blocking, 300, 1);
    run_clients("a client may send garbage", client_garbage, 20000, 1);
    verdict("garbage is dropped and counted", board->count.dropped > 0);
    run_clients("a client that is hung up on may come again", client_hung_up_on, 0, 1);
    story_slow();
    story_idle();
    story_restart();
    story_bad_places();
    story_kills();
    story_nobody();
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
