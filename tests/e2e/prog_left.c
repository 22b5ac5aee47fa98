/* prog_left.c - a known number of messages, put and partly finished; and whether exactly the others come back.
 *
 *   prog_left fill ADDRESS QUEUE FILE SEED ROUNDS   puts, takes, finishes and gives back in batches of 1 to 300
 *   prog_left flood ADDRESS QUEUE FILE              puts until the disk is full, that is refused for a second
 *   prog_left churn ADDRESS QUEUE FILE SECONDS      takes with leases of a millisecond, and lets them run out
 *   prog_left hold ADDRESS QUEUE FILE N             puts N, takes them, says "holding", waits for a line, and then
 * finishes them one by one prog_left drain ADDRESS QUEUE FILE HURT         takes everything and compares: only messages
 * of HURT may be missing prog_left finish ADDRESS QUEUE FILE             the same, and acknowledges
 *
 * fill works on QUEUE; in the first third of its rounds everything that is taken is finished, so that segments die; in
 * the second a few messages go to a queue QUEUE-kept that it does not read, so that segments stay, almost empty, and
 * are cleaned. Nothing is left leased.
 *
 * FILE has a line "next N", the first number that no message had, then "N QUEUE ID" for each message left; it may be
 * that of an earlier run. Bodies are history.h's. Exit: 0, or 1 with a sentence. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"
#include "leat.h"
#include "must.h"

enum { BATCH = 300, DRAIN = 300, REFUSALS_MAX = 100000, PAUSE_MS = 50 };

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("prog_left: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

struct message {
    bool left, hurt, seen;
    const char *queue;
    char id[LEAT_ID_TEXT];
};

static struct {
    struct message *messages; /* by number */
    uint64_t room, next;
    struct prng prng;
    struct leat *leat;
    char queue[LEAT_NAME_MAX + 1], kept[LEAT_NAME_MAX + 1];
} p;

static struct message *message_of(uint64_t n)
{
    if (n >= p.room) {
        uint64_t room = n * 2 + 1024;
        p.messages = realloc(p.messages, room * sizeof *p.messages);
        must(p.messages != NULL);
        memset(p.messages + p.room, 0, (room - p.room) * sizeof *p.messages);
        p.room = room;
    }
    return &p.messages[n];
}

/* -- the file -- */

static void read_left(const char *path, bool must_be)
{
    FILE *f = fopen(path, "r");
    unsigned long long n;
    char queue[128], id[64];
    p.next = 1;
    if (!f && !must_be)
        return;
    if (!f || fscanf(f, "next %llu\n", &n) != 1)
        fail("%s: no list of messages", path);
    p.next = n;
    while (fscanf(f, "%llu %127s %63s\n", &n, queue, id) == 3) {
        struct message *m = message_of(n);
        m->left = true;
        m->queue = strcmp(queue, p.kept) == 0 ? p.kept : p.queue;
        snprintf(m->id, sizeof m->id, "%.36s", id);
    }
    fclose(f);
}

static void write_left(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    fprintf(f, "next %llu\n", (unsigned long long)p.next);
    for (uint64_t n = 1; n < p.room; n++)
        if (p.messages[n].left)
            fprintf(f, "%llu %s %s\n", (unsigned long long)n, p.messages[n].queue, p.messages[n].id);
    if (fclose(f) != 0)
        fail("%s: %s", path, strerror(errno));
}

/* -- fill -- */

/* False: at least one was refused for want of space. */
static bool fill_put(const char *queue, size_t count)
{
    static uint8_t bodies[BATCH][HISTORY_BODY_MAX];
    static struct leat_put_entry entries[BATCH];
    static struct leat_outcome outcomes[BATCH];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct leat_put_entry){.body = bodies[i], .delay_ns = LEAT_DEFAULT};
        entries[i].body_size = history_body(bodies[i], p.next + i);
    }
    enum leat_status status = leat_put_batch(p.leat, queue, entries, count, outcomes);
    if (status != LEAT_OK && status != LEAT_NO_SPACE)
        fail("put: %s", leat_error(p.leat));
    for (size_t i = 0; i < count; i++) {
        struct message *m = message_of(p.next++);
        m->left = outcomes[i].status == LEAT_OK;
        m->queue = queue;
        memcpy(m->id, outcomes[i].id, sizeof m->id);
    }
    return status == LEAT_OK;
}

static void fill_work(size_t count, unsigned percent)
{
    static struct leat_message taken[BATCH];
    struct leat_receipt done[BATCH], back[BATCH];
    size_t n = count, dones = 0, backs = 0;
    enum leat_status status = leat_take(p.leat, p.queue, 0, 0, taken, &n);
    if (status != LEAT_OK && status != LEAT_EMPTY)
        fail("take: %s", leat_error(p.leat));
    for (size_t i = 0; status == LEAT_OK && i < n; i++) {
        bool finish = prng_chance(&p.prng, percent);
        if (finish)
            message_of(history_whose(taken[i].body, taken[i].body_size))->left = false;
        if (finish)
            done[dones++] = taken[i].receipt;
        else
            back[backs++] = taken[i].receipt;
    }
    if (dones > 0 && leat_ack(p.leat, p.queue, done, dones, NULL) != LEAT_OK)
        fail("ack: %s", leat_error(p.leat));
    if (backs > 0 && leat_nack(p.leat, p.queue, back, backs, 0, NULL) != LEAT_OK)
        fail("nack: %s", leat_error(p.leat));
}

static void fill(unsigned rounds)
{
    static const size_t sizes[] = {1, 10, BATCH};
    for (unsigned r = 0; r < rounds; r++) {
        size_t puts = sizes[prng_below(&p.prng, 3)], takes = sizes[prng_below(&p.prng, 3)];
        bool kept = puts < BATCH && r >= rounds / 3 && r < rounds * 2 / 3 && prng_chance(&p.prng, 50);
        if (!fill_put(kept ? p.kept : p.queue, puts))
            fail("put: %s", leat_error(p.leat));
        fill_work(takes, r < rounds / 3 ? 100 : 60);
    }
}

static void flood(void)
{
    for (unsigned refused = 0; refused < 1000 / PAUSE_MS;) {
        if (fill_put(p.queue, BATCH))
            refused = 0;
        else if (refused++)
            leat_poll(p.leat, PAUSE_MS * LEAT_MILLISECOND);
    }
}

/* -- drain -- */

static void check_message(const char *queue, const struct leat_message *m)
{
    uint64_t n = history_whose(m->body, m->body_size);
    if (n == 0)
        fail("%s: message %s has a body that nobody put", queue, m->id);
    struct message *known = message_of(n);
    if (!known->left)
        fail("%s: message %llu (%s) was finished, or never put", queue, (unsigned long long)n, m->id);
    if (known->seen || strcmp(known->id, m->id) != 0 || known->queue != queue)
        fail("%s: message %llu came twice, or as %s, not %s", queue, (unsigned long long)n, m->id, known->id);
    known->seen = true;
}

static void finish(const char *queue, const struct leat_message *taken, size_t n)
{
    struct leat_receipt receipts[DRAIN];
    for (size_t i = 0; i < n; i++)
        receipts[i] = taken[i].receipt;
    if (leat_ack(p.leat, queue, receipts, n, NULL) != LEAT_OK)
        fail("%s: ack: %s", queue, leat_error(p.leat));
}

/* Takes all of a queue, with leases that outlive us; how often the answer was that the bytes are corrupt. */
static uint64_t drain_queue(const char *queue, bool finishing)
{
    static struct leat_message taken[DRAIN];
    uint64_t refusals = 0;
    for (;;) {
        size_t n = DRAIN;
        enum leat_status status = leat_take(p.leat, queue, 0, 3600 * LEAT_SECOND, taken, &n);
        if (status == LEAT_EMPTY)
            return refusals;
        if (status == LEAT_CORRUPT && ++refusals < REFUSALS_MAX)
            continue;
        if (status != LEAT_OK)
            fail("%s: take: %s", queue, leat_error(p.leat));
        for (size_t i = 0; i < n; i++)
            check_message(queue, &taken[i]);
        if (finishing)
            finish(queue, taken, n);
    }
}

static void drain(const char *hurt_path)
{
    unsigned long long n, left = 0, missing = 0;
    FILE *hurt = hurt_path ? fopen(hurt_path, "r") : NULL;
    while (hurt && fscanf(hurt, "%llu\n", &n) == 1)
        message_of(n)->hurt = true;
    if (hurt)
        fclose(hurt);
    uint64_t refusals = drain_queue(p.queue, !hurt_path) + drain_queue(p.kept, !hurt_path);
    for (uint64_t i = 1; i < p.room; i++) {
        const struct message *m = &p.messages[i];
        left += m->left;
        missing += m->left && !m->seen;
        if (m->left && !m->seen && !m->hurt)
            fail("message %llu (%s) is lost", (unsigned long long)i, m->id);
    }
    printf("%llu messages, %llu damaged, %llu takes refused\n", left, missing, (unsigned long long)refusals);
    for (uint64_t i = 1; i < p.room && !hurt_path; i++)
        p.messages[i].left = false;
}

/* -- churn -- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void churn(double length)
{
    static struct leat_message taken[BATCH];
    unsigned long long takes = 0, deliveries = 0, refused = 0;
    for (double end = seconds() + length; seconds() < end; takes++) {
        size_t n = BATCH;
        enum leat_status status = leat_take(p.leat, p.queue, LEAT_SECOND, LEAT_MILLISECOND, taken, &n);
        if (status == LEAT_NO_SPACE && ++refused)
            leat_poll(p.leat, PAUSE_MS * LEAT_MILLISECOND);
        else if (status != LEAT_OK && status != LEAT_EMPTY && status != LEAT_LEASE_LOST)
            fail("take: %s", leat_error(p.leat));
        for (size_t i = 0; status == LEAT_OK && i < n; i++, deliveries++) {
            check_message(p.queue, &taken[i]);
            message_of(history_whose(taken[i].body, taken[i].body_size))->seen = false;
        }
    }
    printf("%llu takes, %llu deliveries, %llu takes refused\n", takes, deliveries, refused);
}

/* -- hold -- */

static void hold(size_t count)
{
    static struct leat_message taken[BATCH];
    struct leat_receipt *receipts = calloc(count + BATCH, sizeof *receipts);
    size_t n = 0, more = BATCH;
    must(receipts != NULL);
    for (size_t put = 0; put < count; put += BATCH)
        if (!fill_put(p.queue, BATCH))
            fail("put: %s", leat_error(p.leat));
    for (; n < count; n += more) {
        more = BATCH;
        if (leat_take(p.leat, p.queue, LEAT_SECOND, 3600 * LEAT_SECOND, taken, &more) != LEAT_OK)
            fail("take: %s", leat_error(p.leat));
        for (size_t i = 0; i < more; i++) {
            check_message(p.queue, &taken[i]);
            message_of(history_whose(taken[i].body, taken[i].body_size))->left = false;
            receipts[n + i] = taken[i].receipt;
        }
    }
    printf("holding\n");
    fflush(stdout);
    getchar();
    for (size_t i = 0; i < n; i++)
        if (leat_ack(p.leat, p.queue, &receipts[i], 1, NULL) != LEAT_OK)
            fail("ack %zu of %zu: %s", i + 1, n, leat_error(p.leat));
    printf("%zu finished\n", n);
    free(receipts);
}

enum mode { FILL, FLOOD, CHURN, HOLD, DRAIN_ALL, FINISH, MODES };

static void run(enum mode mode, char **arguments)
{
    switch (mode) {
    case FILL:
        p.prng = prng_seed(strtoull(arguments[0], NULL, 10), 3);
        fill((unsigned)atoi(arguments[1]));
        break;
    case FLOOD:
        flood();
        break;
    case CHURN:
        churn(atof(arguments[0]));
        break;
    case HOLD:
        hold((size_t)atoi(arguments[0]));
        break;
    default:
        drain(mode == FINISH ? NULL : arguments[0]);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[MODES] = {"fill", "flood", "churn", "hold", "drain", "finish"};
    static const int arguments[MODES] = {2, 0, 1, 1, 1, 0};
    char why[LEAT_ERROR_MAX];
    enum mode mode = FILL;
    while (argc > 1 && mode < MODES && strcmp(argv[1], names[mode]) != 0)
        mode++;
    if (argc < 5 || mode == MODES || argc != 5 + arguments[mode]) {
        fprintf(stderr, "usage: prog_left fill|flood|churn|hold|drain|finish ADDRESS QUEUE FILE ...\n");
        return 64;
    }
    snprintf(p.queue, sizeof p.queue, "%.70s", argv[3]);
    snprintf(p.kept, sizeof p.kept, "%.70s-kept", argv[3]);
    p.leat = leat_open(argv[2], NULL, why);
    if (!p.leat)
        fail("%s: %s", argv[2], why);
    read_left(argv[4], mode != FILL && mode != FLOOD && mode != HOLD);
    if (leat_queue_create(p.leat, p.queue, NULL) != LEAT_OK || leat_queue_create(p.leat, p.kept, NULL) != LEAT_OK)
        fail("create: %s", leat_error(p.leat));
    run(mode, argv + 5);
    write_left(argv[4]);
    leat_close(p.leat);
    return 0;
}
