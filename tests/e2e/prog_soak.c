/* prog_soak.c - clients that run for hours, and an oracle that knows in two bits what has become of each message.
 *
 *   prog_soak ADDRESS QUEUE SECONDS RATE     RATE puts a second; 0: as many as go
 *
 * Puts, takes, acks and nacks are pipelined over three connections. Of a hundred deliveries two are given back, half of
 * them with a delay, and every two hundredth is left until its lease of 3 s runs out. Every tenth of the time a line
 * "t PERCENT PUTS ACKS" tells how far it is. Then no more is put and the queue is emptied. At the end the broker's
 * counters must be the oracle's: every message finished once, every delivery ended once, none left. When the broker
 * stands still for longer than a lease, takes end with `lease_lost`, or bring only what has not run out yet: the rest
 * of what they had leased the broker has counted as taken and as run out, and nobody has seen it. And an ack is a good
 * one when the lease has run out and nobody else has the message yet. The broker may count as many expiries more as
 * such takes and such acks can hold.
 *
 * The last lines are "slowest take MS, longest turn MS" (the latter: how long we stood still ourselves) and "put N, N a
 * second". Exit: 0, or 1 with a sentence. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "leat.h"
#include "must.h"

enum { PUTS = 16, TAKES = 4, BATCH = 16, TAKE_MAX = 64, BACKLOG_MAX = 20000, LEASE_MS = 3000 };

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("prog_soak: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static struct {
    const char *queue;
    struct leat *puts, *takes, *ends; /* ends: acks and nacks */
    double start, length, rate;
    bool stopping;
    struct prng prng;
    uint64_t next;  /* number of the next message */
    uint8_t *known; /* two bits a message: PUT, FINISHED */
    uint64_t room;
    unsigned puts_out, takes_out, ends_out;
    struct {
        uint64_t puts, deliveries, acks, nacks, left, stale;
        uint64_t late, slow; /* acks that may have come behind their leases; takes that took as long as one */
    } count;
    double slowest_take, last_turn, longest_turn; /* seconds */
    struct leat_receipt todo[TAKES * TAKE_MAX + BATCH];
    uint64_t todo_number[TAKES * TAKE_MAX + BATCH];
    double todo_asked[TAKES * TAKE_MAX + BATCH]; /* when it was to be taken: its lease is younger */
    unsigned todo_count;
} s;

enum { PUT = 1, FINISHED = 2 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t known(uint64_t n)
{
    return n / 4 < s.room ? s.known[n / 4] >> n % 4 * 2 & 3 : 0;
}

static void learn(uint64_t n, uint8_t what)
{
    if (n / 4 >= s.room) {
        uint64_t room = s.room ? s.room * 2 : 1 << 20;
        s.known = realloc(s.known, room);
        must(s.known && n / 4 < room);
        memset(s.known + s.room, 0, room - s.room);
        s.room = room;
    }
    s.known[n / 4] = (uint8_t)(s.known[n / 4] | what << n % 4 * 2);
}

/* -- puts -- */

static void on_put(struct leat *l, struct leat_result *r, void *user)
{
    uint64_t first = (uint64_t)(uintptr_t)user;
    for (size_t i = 0; i < leat_result_count(r); i++) {
        struct leat_outcome o;
        leat_result_outcome(r, i, &o);
        if (o.status != LEAT_OK)
            fail("put %llu: %s", (unsigned long long)(first + i), leat_status_name(o.status));
        learn(first + i, PUT);
        s.count.puts++;
    }
    if (leat_result_status(r) != LEAT_OK)
        fail("put: %s", leat_error(l));
    s.puts_out--;
}

static bool put_more(void)
{
    static uint8_t bodies[BATCH][HISTORY_BODY_MAX];
    struct leat_put_entry entries[BATCH];
    double due = s.rate == 0 ? 1e18 : (seconds() - s.start) * s.rate - (double)(s.next - 1);
    size_t count = due < 1 ? 0 : due > BATCH ? BATCH : (size_t)due;
    if (s.stopping || count == 0 || s.puts_out == PUTS || s.next > s.count.acks + BACKLOG_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct leat_put_entry){.body = bodies[i]};
        entries[i].body_size = history_body(bodies[i], s.next + i);
    }
    if (leat_submit_put(s.puts, s.queue, entries, count, on_put, (void *)(uintptr_t)s.next) != LEAT_OK)
        return false;
    s.next += count;
    s.puts_out++;
    return true;
}

/* -- deliveries and their ends -- */

struct batch {
    unsigned count;
    uint64_t numbers[BATCH];
    double asked; /* for the first of them */
};

static void on_ack(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct batch *b = user;
    for (unsigned i = 0; i < b->count; i++) {
        struct leat_outcome o = {.status = leat_result_status(r)};
        if (i < leat_result_count(r))
            leat_result_outcome(r, i, &o);
        if (o.status == LEAT_STALE_RECEIPT)
            s.count.stale++;
        else if (o.status != LEAT_OK)
            fail("ack: %s", leat_status_name(o.status));
        else if (known(b->numbers[i]) & FINISHED)
            fail("message %llu was finished twice", (unsigned long long)b->numbers[i]);
        if (o.status == LEAT_OK) {
            learn(b->numbers[i], FINISHED);
            s.count.acks++;
            s.count.late += (seconds() - b->asked) * 1000 >= LEASE_MS;
        }
    }
    free(b);
    s.ends_out--;
}

static bool ack_more(void)
{
    if (s.todo_count == 0)
        return false;
    struct batch *b = calloc(1, sizeof *b);
    must(b != NULL);
    b->count = s.todo_count < BATCH ? s.todo_count : BATCH;
    memcpy(b->numbers, s.todo_number, b->count * sizeof b->numbers[0]);
    b->asked = s.todo_asked[0];
    for (unsigned i = 1; i < b->count; i++)
        b->asked = s.todo_asked[i] < b->asked ? s.todo_asked[i] : b->asked;
    if (leat_submit_ack(s.ends, s.queue, s.todo, b->count, on_ack, b) != LEAT_OK) {
        free(b);
        return false;
    }
    s.todo_count -= b->count;
    memmove(s.todo, s.todo + b->count, s.todo_count * sizeof s.todo[0]);
    memmove(s.todo_number, s.todo_number + b->count, s.todo_count * sizeof s.todo_number[0]);
    memmove(s.todo_asked, s.todo_asked + b->count, s.todo_count * sizeof s.todo_asked[0]);
    s.ends_out++;
    return true;
}

static void on_nack(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    (void)user;
    struct leat_outcome o = {.status = leat_result_status(r)};
    if (leat_result_count(r) > 0)
        leat_result_outcome(r, 0, &o);
    if (o.status != LEAT_OK && o.status != LEAT_STALE_RECEIPT)
        fail("nack: %s", leat_status_name(o.status));
    s.count.nacks += o.status == LEAT_OK;
    s.count.stale += o.status != LEAT_OK;
    s.ends_out--;
}

static void deliver(const struct leat_message *m, double asked)
{
    uint64_t n = history_whose(m->body, m->body_size);
    if (n == 0 || n >= s.next)
        fail("%s has a body that nobody put", m->id);
    if (known(n) & FINISHED)
        fail("message %llu came again after it was finished", (unsigned long long)n);
    s.count.deliveries++;
    uint64_t chance = prng_below(&s.prng, 1000);
    if (chance < 5) {
        s.count.left++;
        return;
    }
    uint64_t delay = chance < 15 ? 20 * LEAT_MILLISECOND : 0;
    if (chance < 25 && leat_submit_nack(s.ends, s.queue, &m->receipt, 1, delay, on_nack, NULL) == LEAT_OK) {
        s.ends_out++;
        return;
    }
    s.todo[s.todo_count] = m->receipt;
    s.todo_number[s.todo_count] = n;
    s.todo_asked[s.todo_count++] = asked;
}

static void on_take(struct leat *l, struct leat_result *r, void *user)
{
    (void)l;
    struct leat_message m;
    enum leat_status status = leat_result_status(r);
    double asked = (double)(uintptr_t)user / 1e6, took = seconds() - asked;
    while (leat_result_message(r, &m))
        deliver(&m, asked);
    s.slowest_take = took > s.slowest_take ? took : s.slowest_take;
    bool slow = took * 1000 >= LEASE_MS;
    s.count.slow += slow;
    if (status != LEAT_OK && status != LEAT_EMPTY && !(slow && status == LEAT_LEASE_LOST))
        fail("take: %s after %.3f s", leat_status_name(status), took);
    s.takes_out--;
}

/* What a full window of takes could bring has room among what waits for its ack. */
static bool take_more(void)
{
    if (s.takes_out == TAKES || s.todo_count + (s.takes_out + 1) * TAKE_MAX > TAKES * TAKE_MAX)
        return false;
    if (leat_submit_take(s.takes, s.queue, LEAT_SECOND / 5, 0, TAKE_MAX, on_take,
                         (void *)(uintptr_t)(seconds() * 1e6)) != LEAT_OK)
        return false;
    s.takes_out++;
    return true;
}

/* -- the run -- */

static void rest(void)
{
    struct leat *all[3] = {s.puts, s.takes, s.ends};
    struct pollfd fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = (struct pollfd){.fd = leat_fd(all[i]), .events = POLLIN};
    poll(fds, 3, 1);
}

static void turn(void)
{
    double now = seconds();
    s.longest_turn = s.last_turn > 0 && now - s.last_turn > s.longest_turn ? now - s.last_turn : s.longest_turn;
    s.last_turn = now;
    while (put_more())
        ;
    while (ack_more())
        ;
    while (take_more())
        ;
    if (leat_poll(s.puts, 0) + leat_poll(s.takes, 0) + leat_poll(s.ends, 0) == 0)
        rest();
}

/* Both sides of the books, and their difference is what nobody could see. */
static void tell(const struct leat_queue_stat *q)
{
    const struct {
        const char *name;
        uint64_t n;
    } ours[] = {{"puts", s.count.puts},       {"deliveries", s.count.deliveries},
                {"acks", s.count.acks},       {"nacks", s.count.nacks},
                {"left", s.count.left},       {"stale", s.count.stale},
                {"maybe late", s.count.late}, {"slow takes", s.count.slow}},
      theirs[] = {{"puts", q->puts},         {"takes", q->takes},
                  {"acks", q->acks},         {"nacks", q->nacks},
                  {"expiries", q->expiries}, {"left", q->ready + q->leased + q->delayed + q->dead}};
    fputs("oracle:", stdout);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        printf("%s %llu %s", i ? "," : "", (unsigned long long)ours[i].n, ours[i].name);
    fputs("; broker:", stdout);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        printf("%s %llu %s", i ? "," : "", (unsigned long long)theirs[i].n, theirs[i].name);
    putchar('\n');
}

/* Everything is finished, by our count; what the broker says must be the same. */
static void compare(void)
{
    struct leat_queue_stat q;
    if (leat_queue_stat(s.ends, s.queue, &q) != LEAT_OK)
        fail("stat: %s", leat_error(s.ends));
    for (uint64_t n = 1; n < s.next; n++)
        if (known(n) != (PUT | FINISHED))
            fail("message %llu was %s", (unsigned long long)n, known(n) & PUT ? "never finished" : "never put");
    tell(&q);
    if (q.puts != s.count.puts || q.acks != s.count.acks || q.nacks != s.count.nacks)
        fail("the counters are not the oracle's");
    /* What is negative is larger than any bound. */
    uint64_t unseen = q.takes - s.count.deliveries, late = q.expiries - s.count.left - s.count.stale - unseen;
    if (unseen > s.count.slow * TAKE_MAX || late > s.count.late || q.ready + q.leased + q.delayed + q.dead != 0)
        fail("a delivery did not end, or ended twice");
}

static void run(void)
{
    unsigned told = 0;
    s.start = seconds();
    for (double gone = 0; gone < s.length; gone = seconds() - s.start) {
        turn();
        if (gone * 10 < s.length * (told + 1))
            continue;
        printf("t %u %llu %llu\n", ++told * 10, (unsigned long long)s.count.puts, (unsigned long long)s.count.acks);
    }
    s.stopping = true;
    double took = seconds() - s.start, end = seconds() + 60;
    while (s.count.acks < s.count.puts || s.puts_out + s.ends_out + s.takes_out > 0) {
        if (seconds() > end)
            fail("%llu of %llu are not finished", (unsigned long long)(s.count.puts - s.count.acks),
                 (unsigned long long)s.count.puts);
        turn();
        if (s.count.acks == s.count.puts && s.puts_out + s.ends_out == 0)
            break; /* takes may wait on */
    }
    compare();
    printf("slowest take %.0f ms, longest turn %.0f ms\n", s.slowest_take * 1e3, s.longest_turn * 1e3);
    printf("put %llu, %llu a second\n", (unsigned long long)s.count.puts,
           (unsigned long long)((double)s.count.puts / took));
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
    if (argc != 5) {
        fprintf(stderr, "usage: prog_soak ADDRESS QUEUE SECONDS RATE\n");
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    s.queue = argv[2];
    s.length = atof(argv[3]);
    s.rate = atof(argv[4]);
    s.next = 1;
    s.prng = prng_seed((uint64_t)time(NULL), 4);
    s.puts = connect_to(argv[1]);
    s.takes = connect_to(argv[1]);
    s.ends = connect_to(argv[1]);
    struct leat_queue_options options = {.lease_ns = LEASE_MS * LEAT_MILLISECOND, .durability = LEAT_CLASS_DISK};
    if (leat_queue_create(s.ends, s.queue, &options) != LEAT_OK)
        fail("%s: %s", s.queue, leat_error(s.ends));
    run();
    leat_close(s.puts);
    leat_close(s.takes);
    leat_close(s.ends);
    return 0;
}
