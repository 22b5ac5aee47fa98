/* cmd_work.c - leat work: a command for every message.
 *
 * Each of the -j jobs is a thread with a handle of its own, in this circle:
 *
 *   take (waits up to 2 s) --> run the command, extend the lease at each third of it --> ack or nack --+
 *     ^                                                                                                |
 *     +------------------------------------------------------------------------------------------------+
 *
 * A thread waits for signals (quit.h): the first lets the circles end after what they run, a second SIGINT or SIGTERM
 * ends the commands as well, and wakes them if they are stopped; a third one, or GRACE_S later, kills them. Whoever
 * cannot reach the broker says so once and tries again; a message whose ack could not be told in time comes again,
 * which is what "at least once" means.
 *
 * A message that the broker's disk has lost is named once and left to its lease: so the others are not kept waiting,
 * and it comes no more often than once a lease. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "commands.h"
#include "damaged.h"
#include "limits.h"
#include "quit.h"
#include "report.h"

extern char **environ;

enum {
    PATIENCE_S = 30,
    WAIT_S = 2,
    JOBS_MAX = 1024,
    ENV_ROOM = 3,
    ENV_TEXT = 128,
    TRY_AGAIN_MS = 200,
    DRAIN_LOOK_MS = 50,
    PEEK_BYTES = 900 * 1024, /* a peek shows so much for sure: its answer is cut at 1 MiB, headers included */
    GRACE_S = 10
};

/* How we end: each step is harder than the one before. */
enum ending { ENDING_NOT, ENDING_WAITS, ENDING_TERMINATES, ENDING_KILLS };

struct work {
    const struct arguments *a;
    const char *queue;
    size_t batch;
    uint64_t lease_ns, nack_delay_ns;
    enum ending ending; /* atomic, grows */
    int code;           /* atomic: first reason to fail */
    uint64_t finished, failed;
    struct damaged damaged;
    sigset_t quit;
};

struct job {
    pthread_t thread;
    struct work *work;
    struct leat *l;
    struct leat_message *messages;
    struct leat_receipt *receipts;
    char *input;
    size_t input_room;
    char **env;
    char texts[ENV_ROOM][ENV_TEXT];
    bool troubled;        /* the user knows that the broker is away */
    uint64_t quiet_since; /* the last take that brought anything new */
};

static enum ending ending(const struct work *w)
{
    return __atomic_load_n(&w->ending, __ATOMIC_RELAXED);
}

/* One step further, unless another thread has gone it meanwhile. */
static bool end_by(struct work *w, enum ending from)
{
    return __atomic_compare_exchange_n(&w->ending, &from, from + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* True for the first one. */
static bool fail(struct work *w, int code)
{
    int none = EXIT_DONE;
    bool first = __atomic_compare_exchange_n(&w->code, &none, code, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    end_by(w, ENDING_NOT);
    return first;
}

static void pause_ms(unsigned ms)
{
    usleep(ms * 1000);
}

/* Trouble that time may heal: told once. */
static void troubled(struct job *j, enum leat_status status)
{
    if (!j->troubled)
        fprintf(stderr, "leat: %s: %s; trying again\n", leat_status_name(status), leat_error(j->l));
    j->troubled = true;
    if (status != LEAT_UNREACHABLE && status != LEAT_TIMED_OUT)
        pause_ms(TRY_AGAIN_MS);
}

static bool may_heal(enum leat_status status)
{
    return leat_status_retry(status) || status == LEAT_UNKNOWN_OUTCOME || status == LEAT_LEASE_LOST ||
           status == LEAT_CORRUPT; /* from a broker that does not tell which messages: others can be had */
}

/* The bodies as the command's input: one as it is, several (or --batch) as lines. */
static bool make_input(struct job *j, size_t count, size_t *size)
{
    bool lines = j->work->batch > 1;
    *size = 0;
    for (size_t i = 0; i < count; i++)
        *size += j->messages[i].body_size + lines;
    if (*size > j->input_room) {
        free(j->input);
        j->input = malloc(*size);
        j->input_room = j->input ? *size : 0;
        if (!j->input)
            return false;
    }
    char *at = j->input;
    for (size_t i = 0; i < count; i++) {
        if (j->messages[i].body_size)
            memcpy(at, j->messages[i].body, j->messages[i].body_size);
        at += j->messages[i].body_size;
        if (lines)
            *at++ = '\n';
    }
    return true;
}

/* The environment has room for three more at its front. */
static bool make_environment(struct job *j)
{
    size_t n = 0, at = 0;
    while (environ[n])
        n++;
    j->env = calloc(n + ENV_ROOM + 1, sizeof *j->env);
    if (!j->env)
        return false;
    for (; at < ENV_ROOM; at++)
        j->env[at] = j->texts[at];
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "LEAT_QUEUE=", 11) && strncmp(environ[i], "LEAT_ID=", 8) &&
            strncmp(environ[i], "LEAT_ATTEMPTS=", 14))
            j->env[at++] = environ[i];
    return true;
}

static void tell_of_message(struct job *j)
{
    snprintf(j->texts[0], ENV_TEXT, "LEAT_QUEUE=%.100s", j->work->queue);
    snprintf(j->texts[1], ENV_TEXT, "LEAT_ID=%s", j->messages[0].id);
    snprintf(j->texts[2], ENV_TEXT, "LEAT_ATTEMPTS=%u", j->messages[0].attempts);
}

/* Longer leases for what still runs; a lease that was lost is told, and the command goes on. */
static void extend(struct job *j, size_t count)
{
    leat_set_timeout(j->l, j->work->lease_ns / 3); /* the command must be watched meanwhile */
    enum leat_status status = leat_extend(j->l, j->work->queue, j->receipts, count, j->work->lease_ns, NULL);
    leat_set_timeout(j->l, PATIENCE_S * LEAT_SECOND);
    if (status == LEAT_OK)
        j->troubled = false;
    else if (status == LEAT_STALE_RECEIPT)
        report_note("a lease has ended while its command runs: the message will be given to somebody else too");
    else
        troubled(j, status);
}

/* The command and what it has started. One that is stopped has to go on to hear of its end. */
static void end_command(const struct child *c, enum ending how)
{
    kill(-c->pid, how == ENDING_KILLS ? SIGKILL : SIGTERM);
    kill(-c->pid, SIGCONT);
}

/* Runs the command to its end; its exit code, or -1 when it could not be started. */
static int run_command(struct job *j, size_t count)
{
    struct child child;
    size_t size;
    int code;
    if (!make_input(j, count, &size)) {
        errno = ENOMEM;
        return -1;
    }
    tell_of_message(j);
    if (child_start(&child, j->work->a->rest, j->env, j->input, size) != 0)
        return -1;
    uint64_t third = j->work->lease_ns / 3, slice = third < LEAT_SECOND / 5 ? third : LEAT_SECOND / 5, since = 0;
    enum ending told = ENDING_WAITS;
    while (!child_wait(&child, slice, &code)) {
        since += slice;
        if (since >= third) {
            extend(j, count);
            since = 0;
        }
        enum ending now = ending(j->work);
        if (now > told)
            end_command(&child, now);
        told = now > told ? now : told;
    }
    return code;
}

/* Finished, or back into the queue. What the broker could not be told within a lease comes again by itself. */
static void settle(struct job *j, size_t count, bool good)
{
    struct work *w = j->work;
    for (unsigned tries = 0; tries < 3; tries++) {
        enum leat_status status = good ? leat_ack(j->l, w->queue, j->receipts, count, NULL)
                                       : leat_nack(j->l, w->queue, j->receipts, count, w->nack_delay_ns, NULL);
        if (status == LEAT_OK) {
            j->troubled = false;
            return;
        }
        if (status == LEAT_STALE_RECEIPT) {
            report_note("a lease had ended before its command did: the message comes again");
            return;
        }
        if (status == LEAT_UNKNOWN_OUTCOME)
            return; /* done, or it comes again */
        if (!may_heal(status)) {
            fail(w, report_status(status, leat_error(j->l))); /* the next one would be refused as well */
            return;
        }
        troubled(j, status);
    }
}

static void run_messages(struct job *j, size_t count)
{
    struct work *w = j->work;
    for (size_t i = 0; i < count; i++)
        j->receipts[i] = j->messages[i].receipt;
    int code = run_command(j, count);
    if (code < 0) { /* it will fail for every message; an exit code, 127 too, is the command's word on this one */
        fprintf(stderr, "leat: %s: %s\n", w->a->rest[0], strerror(errno));
        fail(w, EXIT_USAGE);
    }
    settle(j, count, code == 0);
    __atomic_add_fetch(code == 0 ? &w->finished : &w->failed, count, __ATOMIC_RELAXED);
}

/* Whether one of the first `left` messages can be looked at. Those that the disk has lost are not shown. */
static bool any_readable(struct job *j, uint64_t left)
{
    size_t n = left < LEAT_BATCH_MAX ? (size_t)left : LEAT_BATCH_MAX;
    struct leat_message *messages = calloc(n, sizeof *messages);
    bool any = !messages || leat_peek(j->l, j->work->queue, messages, &n) != LEAT_OK || n > 0;
    free(messages);
    return any;
}

/* Whether messages are left that this worker has not met yet, and may: another one that drains the queue may be faster
 * at each of them, for ever, so it waits a lease long. More than one peek can show have to be met. */
static bool more_to_meet(const struct job *j, uint64_t left, uint64_t bytes, size_t known)
{
    if (left <= known)
        return false;
    bool shown = left <= LEAT_BATCH_MAX && bytes <= PEEK_BYTES;
    return !shown || clock_ns() - j->quiet_since < j->work->lease_ns;
}

/* Only messages are left that the disk has lost. (That no more are left than are known does not say so: of the known
 * ones some may be gone, finished by hand or dead.) More than can be known end it, too. */
static bool only_damaged(struct job *j, uint64_t left, uint64_t bytes)
{
    struct work *w = j->work;
    bool full;
    size_t known = damaged_count(&w->damaged, &full);
    if (!full && (more_to_meet(j, left, bytes, known) || any_readable(j, left)))
        return false;
    if (fail(w, EXIT_DATA))
        report_data(LEAT_CORRUPT,
                    full ? "%s: %" PRIu64 " messages are left, and too many of them are damaged"
                         : "%s: %" PRIu64 " damaged messages are left, and nothing else",
                    w->queue, left);
    return true;
}

/* Nothing ready, leased or delayed that can be worked on. */
static bool drained(struct job *j)
{
    struct leat_queue_stat stat;
    if (leat_queue_stat(j->l, j->work->queue, &stat) != LEAT_OK)
        return false;
    uint64_t left = stat.ready + stat.leased + stat.delayed;
    return left == 0 || only_damaged(j, left, stat.bytes);
}

/* A take that brought nothing to work on: whether it ends this circle. */
static bool nothing_to_do(struct job *j, size_t damaged)
{
    struct work *w = j->work;
    j->troubled = false;
    bool fresh = damaged_tell(&w->damaged, w->queue, j->messages, damaged) > 0;
    if (fresh)
        j->quiet_since = clock_ns();
    return arguments_given(w->a, OPTION_DRAIN) && !fresh && drained(j);
}

/* Never in step with another worker, which would be there first each time that the same lease ends. */
static uint64_t drain_wait(void)
{
    return (DRAIN_LOOK_MS / 2 + arc4random_uniform(DRAIN_LOOK_MS)) * LEAT_MILLISECOND;
}

static void *circle(void *arg)
{
    struct job *j = arg;
    struct work *w = j->work;
    j->quiet_since = clock_ns();
    bool drain = arguments_given(w->a, OPTION_DRAIN);
    while (ending(w) == ENDING_NOT) {
        size_t count = w->batch;
        uint64_t wait = drain ? drain_wait() : WAIT_S * LEAT_SECOND;
        enum leat_status status = leat_take(j->l, w->queue, wait, w->lease_ns, j->messages, &count);
        if (status == LEAT_OK) {
            j->troubled = false;
            run_messages(j, count);
            j->quiet_since = clock_ns();
        } else if (status == LEAT_EMPTY || (status == LEAT_CORRUPT && count > 0)) {
            if (nothing_to_do(j, count))
                break;
        } else if (may_heal(status)) {
            troubled(j, status);
        } else {
            fail(w, limits_report(w->a, status, leat_error(j->l)));
        }
    }
    return NULL;
}

static void close_job(struct job *j)
{
    leat_close(j->l);
    free(j->messages);
    free(j->receipts);
    free(j->input);
    free(j->env);
}

/* *code tells why not. */
static bool open_job(struct job *j, struct work *w, int *code)
{
    *j = (struct job){.work = w};
    j->messages = calloc(w->batch, sizeof *j->messages);
    j->receipts = calloc(w->batch, sizeof *j->receipts);
    if (j->messages && j->receipts && make_environment(j))
        j->l = main_connect(w->a, PATIENCE_S * LEAT_SECOND, false, code);
    else
        *code = report_status(LEAT_NO_MEMORY, "jobs");
    if (j->l)
        return true;
    close_job(j);
    return false;
}

static void tell_ending(enum ending now)
{
    if (isatty(STDERR_FILENO) && now == ENDING_WAITS)
        report_note("finishing what runs; once more to end the commands too");
    if (isatty(STDERR_FILENO) && now == ENDING_TERMINATES)
        report_note("ending the commands; they are killed in %d s, or by one more", GRACE_S);
}

/* Until all circles have ended: signals come to this thread alone. */
static void *wait_for_signals(void *arg)
{
    struct work *w = arg;
    sigset_t awaited = w->quit;
    const struct timespec grace = {.tv_sec = GRACE_S};
    for (enum ending now; (now = ending(w)) != ENDING_KILLS;) {
        if (now != ENDING_NOT)
            sigdelset(&awaited, SIGHUP);
        int number = sigtimedwait(&awaited, NULL, now == ENDING_TERMINATES ? &grace : NULL);
        if (number < 0 && errno != EAGAIN)
            continue;
        now = number == SIGHUP ? ENDING_NOT : ending(w); /* a circle may have failed meanwhile */
        if (end_by(w, now))
            tell_ending(now + 1);
    }
    return NULL;
}

static int run_jobs(struct work *w, struct job *jobs, size_t count)
{
    pthread_t watcher;
    size_t open = 0, started = 0;
    int code = EXIT_DONE;
    while (open < count && open_job(&jobs[open], w, &code))
        open++;
    bool watched = open == count && pthread_create(&watcher, NULL, wait_for_signals, w) == 0;
    while (watched && started < count && pthread_create(&jobs[started].thread, NULL, circle, &jobs[started]) == 0)
        started++;
    if (open == count && started < count) {
        fail(w, EXIT_BUG);
        report_note("no more than %zu threads can be started", started);
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(jobs[i].thread, NULL);
    if (watched) {
        pthread_cancel(watcher);
        pthread_join(watcher, NULL);
    }
    for (size_t i = 0; i < open; i++)
        close_job(&jobs[i]);
    return code != EXIT_DONE ? code : w->code;
}

int cmd_work(const struct arguments *a)
{
    struct work w = {.a = a,
                     .queue = a->words[0],
                     .batch = arguments_number(a, OPTION_BATCH, 1),
                     .lease_ns = arguments_number(a, OPTION_LEASE, 30 * LEAT_SECOND),
                     .nack_delay_ns = arguments_number(a, OPTION_NACK_DELAY, LEAT_SECOND)};
    size_t count = arguments_number(a, OPTION_JOBS, 1);
    if (count < 1 || count > JOBS_MAX)
        return report_usage("-j %zu: 1 to %d commands at a time", count, JOBS_MAX);
    if (w.batch < 1 || w.batch > LEAT_BATCH_MAX)
        return report_usage("--batch %zu: 1 to %d messages for one command", w.batch, LEAT_BATCH_MAX);
    if (w.lease_ns < LEAT_SECOND / 10)
        return report_usage("--lease: at least 100ms, so that it can be extended in time");
    if (!child_exists(a->rest[0])) /* before an attempt of any message is spent */
        return report_usage("%s: there is no such command, or it may not be run", a->rest[0]);
    struct job *jobs = calloc(count, sizeof *jobs);
    if (!jobs)
        return report_status(LEAT_NO_MEMORY, "jobs");
    quit_signals(&w.quit);
    pthread_sigmask(SIG_BLOCK, &w.quit, NULL); /* wait_for_signals() has them */
    damaged_open(&w.damaged);
    int code = run_jobs(&w, jobs, count);
    damaged_close(&w.damaged);
    free(jobs);
    return code;
}
