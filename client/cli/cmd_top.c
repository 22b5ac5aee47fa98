/* cmd_top.c - leat top: all queues, again and again. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "commands.h"
#include "queues.h"
#include "words.h"

enum { PATIENCE_S = 30, INTERVAL_MIN_MS = 50 };

struct look {
    struct leat_queue_stat *stats;
    size_t count;
    uint64_t ns;
};

static const struct leat_queue_stat *find(const struct look *look, const char *name)
{
    for (size_t i = 0; i < look->count; i++)
        if (!strcmp(look->stats[i].name, name))
            return &look->stats[i];
    return NULL;
}

static void number(double n)
{
    char text[WORDS_NUMBER_MAX];
    words_show_number(text, n);
    printf(" %8s", text);
}

/* Per second since the look before; "-" when there is none. */
static void rate(uint64_t now, uint64_t before, uint64_t ns, bool known)
{
    if (known && ns && now >= before)
        number((double)(now - before) * 1e9 / (double)ns);
    else
        printf(" %8s", "-");
}

static void print_row(const struct leat_queue_stat *s, const struct leat_queue_stat *b, uint64_t ns)
{
    static const struct leat_queue_stat none;
    const struct leat_queue_stat *before = b ? b : &none;
    char oldest[WORDS_DURATION_MAX];
    words_show_duration(oldest, s->oldest_ready_ns);
    printf("%-24.24s", s->name);
    number((double)s->ready);
    number((double)s->leased);
    number((double)s->delayed);
    number((double)s->dead);
    rate(s->puts, before->puts, ns, b);
    rate(s->takes, before->takes, ns, b);
    rate(s->acks, before->acks, ns, b);
    printf(" %8s %7u\n", s->ready ? oldest : "-", s->parked);
}

static void print(const struct look *look, const struct look *before, bool live)
{
    if (live)
        printf("\033[H\033[J");
    printf("%-24s %8s %8s %8s %8s %8s %8s %8s %8s %7s\n", "QUEUE", "READY", "LEASED", "DELAYED", "DEAD", "PUT/s",
           "TAKE/s", "ACK/s", "OLDEST", "WAITING");
    for (size_t i = 0; i < look->count; i++)
        print_row(&look->stats[i], before ? find(before, look->stats[i].name) : NULL,
                  before ? look->ns - before->ns : 0);
}

static void print_json(const struct look *look)
{
    json_t *list = json_array();
    for (size_t i = 0; i < look->count; i++)
        json_array_append_new(list, queues_json(&look->stats[i]));
    json_dumpf(list, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(list);
}

/* For ever; ends by a signal, or when nobody answers. */
static enum leat_status watch(struct leat *l, const struct arguments *a)
{
    bool live = isatty(STDOUT_FILENO) && !arguments_given(a, OPTION_JSON);
    uint64_t interval = arguments_number(a, OPTION_INTERVAL, LEAT_SECOND);
    struct look before = {0}, look;
    struct timespec pause = {.tv_sec = (time_t)(interval / LEAT_SECOND), .tv_nsec = (long)(interval % LEAT_SECOND)};
    for (;;) {
        enum leat_status status = queues_all(l, &look.stats, &look.count);
        look.ns = clock_ns();
        if (status == LEAT_OK && arguments_given(a, OPTION_JSON))
            print_json(&look);
        else if (status == LEAT_OK)
            print(&look, before.ns ? &before : NULL, live);
        free(before.stats);
        before = look;
        if (status != LEAT_OK || !live || fflush(stdout) != 0) {
            free(look.stats);
            return status;
        }
        nanosleep(&pause, NULL);
    }
}

int cmd_top(const struct arguments *a)
{
    int code;
    if (arguments_number(a, OPTION_INTERVAL, LEAT_SECOND) < INTERVAL_MIN_MS * LEAT_MILLISECOND)
        return report_usage("--interval must be %dms at least", INTERVAL_MIN_MS);
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l)
        return code;
    enum leat_status status = watch(l, a);
    code = status == LEAT_OK ? EXIT_DONE : report_status(status, leat_error(l));
    leat_close(l);
    return report_flush(code);
}
