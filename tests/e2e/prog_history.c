/* prog_history.c - clients that write down everything they were told, while somebody kills their broker.
 *
 *   prog_history load ADDRESS QUEUE FILE [-i IN_FLIGHT] [-e EVERY]     until SIGTERM
 *   prog_history drain ADDRESS QUEUE FILE                              until the queue is empty
 *
 * `load` keeps IN_FLIGHT puts under way over one connection, takes over a second and acknowledges over a third, all in
 * one thread over libleat, which finds the restarted broker again by itself. Most messages are acknowledged at once; a
 * few are given back; a few receipts are kept until the message has come again, and then tried: they must be refused.
 * Every EVERY acknowledged messages it prints "acked N"; when a connection breaks, "broken IN_FLIGHT". SIGTERM: no more
 * puts, the answers under way are waited for, and what has none is written down as unknown.
 *
 * The file is history.h's. Exit: 0, or 1 with a sentence. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "leat.h"
#include "must.h"

enum { TAKE_MAX = 32, TAKES = 2, BACKLOG_MAX = 20000, BATCH = 4, ACK_MAX = 10, LEASE_MS = 700 };

struct note {
    uint64_t n;
    struct leat_receipt receipt;
    bool old; /* a newer receipt exists */
    struct note *next;
};

static struct {
    const char *address, *queue;
    FILE *file;
    unsigned in_flight, every;
    struct leat *puts, *takes, *acks;
    uint64_t next, puts_out, takes_out, acks_out;
    uint64_t put_ok, acked, told;
    struct note *todo, **todo_end; /* acks that wait for room */
    struct note *kept;             /* receipts to try when their message has come again */
    uint8_t *outcome;              /* by number: a put's first letter, 0: no answer yet */
    uint64_t outcomes;
    struct prng prng;
} h;

static volatile sig_atomic_t stopping;

static void on_term(int number)
{
    (void)number;
    stopping = 1;
}

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("prog_history: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

/* An answer's place in the history: what may have been executed is unknown, and only that. */
static const char *outcome_of(enum leat_status status)
{
    if (status == LEAT_OK)
        return "ok";
    return status == LEAT_UNKNOWN_OUTCOME || status == LEAT_TIMED_OUT ? "unknown" : "fail";
}

static void remember_put(uint64_t n, char outcome)
{
    if (n >= h.outcomes) {
        uint64_t more = h.outcomes ? h.outcomes * 2 : 65536;
        h.outcome = realloc(h.outcome, more);
        must(h.outcome && n < more);
        memset(h.outcome + h.outcomes, 0, more - h.outcomes);
        h.outcomes = more;
    }
    h.outcome[n] = (uint8_t)outcome;
}

/* -- puts -- */

static void on_put(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    uint64_t first = (uint64_t)(uintptr_t)user;
    for (size_t i = 0; i < leat_result_count(r); i++) {
        struct leat_outcome o;
        leat_result_outcome(r, i, &o);
        const char *outcome = outcome_of(o.status);
        fprintf(h.file, "p %llu %s %s\n", (unsigned long long)(first + i), outcome, o.id);
        remember_put(first + i, outcome[0]);
        h.put_ok += o.status == LEAT_OK;
    }
    h.puts_out--;
}

static bool more_puts(void)
{
    static uint8_t body[BATCH][HISTORY_BODY_MAX];
    struct leat_put_entry entries[BATCH];
    size_t count = prng_chance(&h.prng, 10) ? BATCH : 1;
    memset(entries, 0, sizeof entries);
    for (size_t i = 0; i < count; i++) {
        entries[i].body = body[i];
        entries[i].body_size = history_body(body[i], h.next + i);
    }
    void *user = (void *)(uintptr_t)h.next;
    if (leat_submit_put(h.puts, h.queue, entries, count, on_put, user) != LEAT_OK)
        return false;
    for (size_t i = 0; i < count; i++)
        remember_put(h.next + i, 0);
    h.next += count;
    h.puts_out++;
    return true;
}

/* -- takes and acks -- */

struct batch {
    unsigned count;
    struct note *notes[ACK_MAX];
};

static void on_ack(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct batch *batch = user;
    for (unsigned i = 0; i < batch->count; i++) {
        struct note *note = batch->notes[i];
        struct leat_outcome o = {.status = leat_result_status(r)};
        if (i < leat_result_count(r))
            leat_result_outcome(r, i, &o);
        const char *outcome = o.status == LEAT_STALE_RECEIPT ? "stale" : outcome_of(o.status);
        fprintf(h.file, "%c %llu %s\n", note->old ? 'x' : 'a', (unsigned long long)note->n, outcome);
        h.acked += o.status == LEAT_OK;
        free(note);
    }
    free(batch);
    h.acks_out--;
}

static void on_nack(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    (void)r;
    (void)user;
    h.acks_out--;
}

/* Oldest first, up to ACK_MAX in one request. */
static void flush_acks(void)
{
    while (h.todo) {
        struct leat_receipt receipts[ACK_MAX];
        struct batch *batch = calloc(1, sizeof *batch);
        must(batch != NULL);
        struct note *rest = h.todo;
        for (; rest && batch->count < ACK_MAX; rest = rest->next) {
            receipts[batch->count] = rest->receipt;
            batch->notes[batch->count++] = rest;
        }
        if (leat_submit_ack(h.acks, h.queue, receipts, batch->count, on_ack, batch) != LEAT_OK) {
            free(batch);
            return;
        }
        h.todo = rest;
        h.acks_out++;
    }
    h.todo_end = &h.todo;
}

static void add_todo(struct note *note)
{
    note->next = NULL;
    *h.todo_end = note;
    h.todo_end = &note->next;
}

static struct note *new_note(uint64_t n, const struct leat_receipt *receipt, struct note *next)
{
    struct note *note = calloc(1, sizeof *note);
    must(note != NULL);
    *note = (struct note){n, *receipt, false, next};
    return note;
}

/* The message has come again: its older receipts are tried now, before the new one is used. */
static void try_kept(uint64_t n)
{
    for (struct note **at = &h.kept; *at;) {
        struct note *note = *at;
        if (note->n != n) {
            at = &note->next;
            continue;
        }
        *at = note->next;
        note->old = true;
        add_todo(note);
    }
}

static void deliver(const struct leat_message *m)
{
    uint64_t n = history_whose(m->body, m->body_size);
    if (n == 0) {
        fprintf(h.file, "w %s\n", m->id);
        return;
    }
    fprintf(h.file, "d %llu %s %u\n", (unsigned long long)n, m->id, m->attempts);
    uint64_t chance = prng_below(&h.prng, 1000);
    if (chance < 4 && !stopping) {
        h.kept = new_note(n, &m->receipt, h.kept);
        return;
    }
    if (chance < 30 && leat_submit_nack(h.acks, h.queue, &m->receipt, 1, 0, on_nack, NULL) == LEAT_OK) {
        h.acks_out++;
        return;
    }
    try_kept(n);
    add_todo(new_note(n, &m->receipt, NULL));
}

static void on_take(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    (void)user;
    struct leat_message m;
    if (leat_result_status(r) == LEAT_CORRUPT)
        fprintf(h.file, "c %zu\n", leat_result_count(r));
    else
        while (leat_result_message(r, &m))
            deliver(&m);
    h.takes_out--;
}

/* -- the load -- */

static void fill(void)
{
    while (!stopping && h.puts_out < h.in_flight && h.put_ok < h.acked + BACKLOG_MAX && more_puts())
        ;
    flush_acks();
    while (!stopping && h.takes_out < TAKES &&
           leat_submit_take(h.takes, h.queue, LEAT_SECOND / 4, 0, TAKE_MAX, on_take, NULL) == LEAT_OK)
        h.takes_out++;
}

/* Sleeps until one of the handles has something to do. Without a descriptor (vhost://, or no connection) only
 * leat_poll() can sleep, and only for one of them. */
static void rest(void)
{
    if (leat_fd(h.puts) < 0) {
        leat_poll(h.puts, LEAT_MILLISECOND);
        return;
    }
    struct leat *all[3] = {h.puts, h.takes, h.acks};
    struct pollfd fds[3];
    uint64_t due = LEAT_SECOND / 10;
    for (int i = 0; i < 3; i++) {
        fds[i] = (struct pollfd){.fd = leat_fd(all[i]), .events = POLLIN};
        uint64_t next = leat_next_due_ns(all[i]);
        due = next < due ? next : due;
    }
    if (poll(fds, 3, (int)(due / LEAT_MILLISECOND)) < 0 && errno != EINTR)
        fail("poll: %s", strerror(errno));
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tell(bool *connected)
{
    if (h.acked >= h.told + h.every) {
        h.told = h.acked;
        printf("acked %llu\n", (unsigned long long)h.acked);
    }
    bool now = leat_connected(h.puts);
    if (*connected && !now)
        printf("broken %llu\n", (unsigned long long)h.puts_out);
    *connected = now;
}

static void load(void)
{
    bool connected = true;
    double end = 0;
    struct leat_queue_options options = {.lease_ns = LEASE_MS * LEAT_MILLISECOND, .durability = LEAT_CLASS_DISK};
    if (leat_queue_create(h.puts, h.queue, &options) != LEAT_OK)
        fail("%s: %s", h.queue, leat_error(h.puts));
    while (!stopping || h.puts_out + h.takes_out + h.acks_out > 0 || h.todo) {
        if (stopping && end == 0)
            end = seconds() + 60;
        if (end != 0 && seconds() > end)
            break;
        fill();
        size_t done = leat_poll(h.puts, 0) + leat_poll(h.takes, 0) + leat_poll(h.acks, 0);
        tell(&connected);
        if (done == 0)
            rest();
    }
    for (uint64_t n = 1; n < h.next; n++)
        if (h.outcome[n] == 0)
            fprintf(h.file, "p %llu unknown\n", (unsigned long long)n);
    printf("put %llu, acked %llu, without an answer %llu\n", (unsigned long long)h.put_ok, (unsigned long long)h.acked,
           (unsigned long long)h.puts_out);
}

/* -- the drain -- */

static void drain(void)
{
    static struct leat_message messages[100];
    for (;;) {
        size_t n = 100;
        enum leat_status status = leat_take(h.takes, h.queue, LEAT_SECOND / 4, 0, messages, &n);
        if (status != LEAT_OK && status != LEAT_EMPTY)
            fail("take: %s", leat_error(h.takes));
        for (size_t i = 0; i < n; i++) {
            uint64_t number = history_whose(messages[i].body, messages[i].body_size);
            if (number == 0) {
                fprintf(h.file, "w %s\n", messages[i].id);
                continue;
            }
            fprintf(h.file, "d %llu %s %u\n", (unsigned long long)number, messages[i].id, messages[i].attempts);
            status = leat_ack(h.acks, h.queue, &messages[i].receipt, 1, NULL);
            const char *outcome = status == LEAT_STALE_RECEIPT ? "stale" : outcome_of(status);
            fprintf(h.file, "a %llu %s\n", (unsigned long long)number, outcome);
        }
        struct leat_queue_stat stat;
        if (leat_queue_stat(h.acks, h.queue, &stat) != LEAT_OK)
            fail("stat: %s", leat_error(h.acks));
        if (n == 0 && stat.ready + stat.leased + stat.delayed == 0)
            break;
    }
    fprintf(h.file, "drained\n");
}

static struct leat *connect_to(const char *address)
{
    char why[LEAT_ERROR_MAX];
    struct leat *l = leat_open(address, NULL, why);
    if (!l)
        fail("%s: %s", address, why);
    return l;
}

int main(int argc, char **argv)
{
    if (argc < 5 || (strcmp(argv[1], "load") != 0 && strcmp(argv[1], "drain") != 0)) {
        fprintf(stderr, "usage: prog_history load|drain ADDRESS QUEUE FILE [-i IN_FLIGHT] [-e EVERY]\n");
        return 64;
    }
    h.address = argv[2];
    h.queue = argv[3];
    h.next = 1;
    h.todo_end = &h.todo;
    h.in_flight = 48;
    h.every = 100;
    for (int i = 5; i + 1 < argc; i += 2)
        *(strcmp(argv[i], "-i") == 0 ? &h.in_flight : &h.every) = (unsigned)atoi(argv[i + 1]);
    h.prng = prng_seed((uint64_t)time(NULL), 0);
    h.file = fopen(argv[4], "a");
    if (!h.file)
        fail("%s: %s", argv[4], strerror(errno));
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGTERM, on_term);
    leat_vhost_register();
    h.puts = connect_to(h.address);
    h.takes = connect_to(h.address);
    h.acks = connect_to(h.address);
    if (strcmp(argv[1], "load") == 0)
        load();
    else
        drain();
    if (fclose(h.file) != 0)
        fail("%s: %s", argv[4], strerror(errno));
    leat_close(h.puts);
    leat_close(h.takes);
    leat_close(h.acks);
    return 0;
}
