/* cmd_backup.c - leat backup: a running broker's data, copied into a directory here.
 *
 * The work is leat_backup()'s; here are the bar, the pace, the summary, and the way out: SIGINT, SIGTERM or SIGHUP
 * gives the backup up after the piece at work, and what was written is removed. A second SIGINT or SIGTERM ends the
 * program at once; SIGHUP does not, since a terminal that goes away sends more than one. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <jansson.h>

#include "clock.h"
#include "commands.h"
#include "progress.h"
#include "quit.h"
#include "words.h"

enum { PATIENCE_S = 60, RATE_LEAST = 64 * 1024 /* slower than that, the broker would lose patience */ };
#define RATE_USUAL (64ull << 20) /* bytes a second that a broker at work hardly feels */

static volatile sig_atomic_t told_to_stop;

static void stop(int signal)
{
    (void)signal;
    told_to_stop = 1;
}

static void listen_to_signals(void)
{
    struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    sigset_t quit;
    quit_signals(&quit);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = 0;
    if (sigismember(&quit, SIGHUP))
        sigaction(SIGHUP, &action, NULL);
}

struct pace {
    struct progress bar;
    uint64_t started_ns, rate; /* rate: bytes a second */
};

/* Sleeps until so many bytes may have come. */
static void keep_pace(const struct pace *p, uint64_t bytes)
{
    uint64_t due = (uint64_t)((double)bytes / (double)p->rate * 1e9), passed = clock_ns() - p->started_ns;
    if (due <= passed)
        return;
    struct timespec t = {.tv_sec = (time_t)((due - passed) / 1000000000),
                         .tv_nsec = (long)((due - passed) % 1000000000)};
    nanosleep(&t, NULL);
}

static bool show(const struct leat_backup_state *state, void *user)
{
    struct pace *p = user;
    p->bar.total = state->bytes;
    progress_update(&p->bar, state->bytes_done, state->bytes_done);
    if (!told_to_stop)
        keep_pace(p, state->bytes_done);
    return !told_to_stop;
}

static void print_json(const char *directory, const struct leat_backup_state *s, uint64_t ns)
{
    char cluster[17];
    snprintf(cluster, sizeof cluster, "%016" PRIx64, s->cluster);
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "directory", directory, "cluster", cluster, "epoch",
                          (json_int_t)s->epoch, "position", (json_int_t)s->position, "files", (json_int_t)s->files,
                          "bytes", (json_int_t)s->bytes_done, "seconds", (double)ns / 1e9);
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static void print_text(const char *directory, const struct leat_backup_state *s, uint64_t ns)
{
    char took[WORDS_DURATION_MAX];
    words_show_duration(took, ns);
    printf("%s: %u files, %" PRIu64 " bytes, in %s; cluster %016" PRIx64 " in epoch %u as of block %" PRIu64 "\n",
           directory, s->files, s->bytes_done, took, s->cluster, s->epoch, s->position);
}

int cmd_backup(const struct arguments *a)
{
    int code;
    struct pace p = {.rate = arguments_number(a, OPTION_RATE, RATE_USUAL)};
    if (p.rate < RATE_LEAST)
        return report_usage("--rate %" PRIu64 ": at least 64k bytes a second", p.rate);
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l)
        return code;
    struct leat_backup_state state;
    uint64_t started = p.started_ns = clock_ns();
    listen_to_signals();
    progress_open(&p.bar, "bytes", 0);
    enum leat_status status = leat_backup(l, a->words[0], show, &p, &state);
    progress_close(&p.bar, state.bytes_done);
    if (status != LEAT_OK)
        code = report_status(status, leat_error(l));
    else if (arguments_given(a, OPTION_JSON))
        print_json(a->words[0], &state, clock_ns() - started);
    else
        print_text(a->words[0], &state, clock_ns() - started);
    leat_close(l);
    return report_flush(status == LEAT_OK ? EXIT_DONE : code);
}
