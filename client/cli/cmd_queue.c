/* cmd_queue.c - leat queue create, drop, list, stat. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "limits.h"
#include "queues.h"
#include "words.h"

enum { PATIENCE_S = 30 };

static int end(struct leat *l, enum leat_status status)
{
    int code = status == LEAT_OK ? EXIT_DONE : report_status(status, leat_error(l));
    leat_close(l);
    return report_flush(code);
}

int cmd_queue_create(const struct arguments *a)
{
    int code;
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l)
        return code;
    struct leat_queue_options o = {.lease_ns = a->number[OPTION_LEASE],
                                   .delay_ns = a->number[OPTION_DELAY],
                                   .max_attempts = (uint32_t)a->number[OPTION_MAX_ATTEMPTS],
                                   .body_max = (uint32_t)a->number[OPTION_BODY_MAX],
                                   .durability = (enum leat_durability)a->number[OPTION_CLASS],
                                   .dead_letter = a->text[OPTION_DEAD_LETTER]};
    enum leat_status status = leat_queue_create(l, a->words[0], &o);
    char about[256];
    if (status == LEAT_NO_QUEUE)
        snprintf(about, sizeof about, "%.80s: there is no such queue for dead letters", o.dead_letter);
    else if (status == LEAT_BAD_VALUE) /* all that was given is below its limit */
        snprintf(about, sizeof about,
                 "%.80s: the usual lease of 30s is not within the broker's lease_min and lease_max", a->words[0]);
    else
        return end(l, status);
    leat_close(l);
    return limits_report(a, status, about);
}

int cmd_queue_drop(const struct arguments *a)
{
    int code;
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    return l ? end(l, leat_queue_drop(l, a->words[0])) : code;
}

static void print_json(json_t *o)
{
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

int cmd_queue_list(const struct arguments *a)
{
    int code;
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l)
        return code;
    struct leat_queue_stat *stats;
    size_t count;
    enum leat_status status = queues_all(l, &stats, &count);
    if (status == LEAT_OK && arguments_given(a, OPTION_JSON)) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, queues_json(&stats[i]));
        print_json(list);
    } else if (status == LEAT_OK) {
        bool people = isatty(STDOUT_FILENO);
        if (people && count)
            printf("%-32s %10s %10s %10s %10s\n", "NAME", "READY", "LEASED", "DELAYED", "DEAD");
        for (size_t i = 0; i < count; i++)
            printf(people ? "%-32s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n"
                          : "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
                   stats[i].name, stats[i].ready, stats[i].leased, stats[i].delayed, stats[i].dead);
    }
    free(stats);
    return end(l, status);
}

static void print_time(const char *name, uint64_t ns)
{
    char text[WORDS_DURATION_MAX];
    words_show_duration(text, ns);
    printf("%s: %s\n", name, text);
}

static void print_stat(const struct leat_queue_stat *s)
{
    printf("name: %s\n", s->name);
    printf("ready: %" PRIu64 "\nleased: %" PRIu64 "\ndelayed: %" PRIu64 "\ndead: %" PRIu64 "\nbytes: %" PRIu64 "\n",
           s->ready, s->leased, s->delayed, s->dead, s->bytes);
    printf("puts: %" PRIu64 "\ntakes: %" PRIu64 "\nacks: %" PRIu64 "\nnacks: %" PRIu64 "\n", s->puts, s->takes, s->acks,
           s->nacks);
    printf("expiries: %" PRIu64 "\ndead-letters: %" PRIu64 "\nparked: %u\n", s->expiries, s->dead_letters, s->parked);
    print_time("oldest-ready", s->oldest_ready_ns);
    print_time("oldest-leased", s->oldest_leased_ns);
    print_time("oldest-delayed", s->oldest_delayed_ns);
    print_time("lease", s->lease_ns);
    print_time("delay", s->delay_ns);
    printf("max-attempts: %u\nbody-max: %u\nclass: %s\n", s->max_attempts, s->body_max, queues_class(s->durability));
    printf("dead-letter: %s\n", *s->dead_letter ? s->dead_letter : "-");
}

int cmd_queue_stat(const struct arguments *a)
{
    int code;
    struct leat *l = main_connect(a, PATIENCE_S * LEAT_SECOND, false, &code);
    if (!l)
        return code;
    struct leat_queue_stat stat;
    enum leat_status status = leat_queue_stat(l, a->words[0], &stat);
    if (status == LEAT_OK && arguments_given(a, OPTION_JSON))
        print_json(queues_json(&stat));
    else if (status == LEAT_OK)
        print_stat(&stat);
    return end(l, status);
}
