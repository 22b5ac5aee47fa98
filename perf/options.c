/* options.c - the command line of leat-bench, a row per option. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raw_frame.h"
#include "request.h"

static const struct {
    const char *name, *help;
} workload[WORKLOADS] = {
#define WORKLOAD(NAME, name, help) {#name, help},
#include "workload_table.h"
#undef WORKLOAD
};

struct number {
    double least, most;
};

struct row {
    const char *name, *value; /* value: NULL for a switch */
    int letter;
    struct number bounds; /* of numbers */
    const char *help;
};

enum letter {
    DEPTH = 256,
    LANES,
    QUEUES,
    RATE,
    DURATION,
    WARM,
    MESSAGES,
    CPU,
    RAW,
    SPIN,
    KEEP,
    JSON,
    EAL,
    CLASS,
    SIZE,
    BATCH,
    HELP
};

static const struct row rows[] = {
    {"address", "ADDRESS", 's', {0, 0}, "[tcp://]HOST:PORT or vhost://PATH (or $LEAT_ADDRESS; tcp://127.0.0.1:7400)"},
    {"workload", "NAME", 'w', {0, 0}, "what to do, see below (put)"},
    {"class", "CLASS", CLASS, {0, 0}, "durability of each put: memory or disk (disk)"},
    {"size", "BYTES", SIZE, {OPTIONS_BODY_MIN, BODY_MAX}, "of a body (128)"},
    {"batch", "N", BATCH, {1, BATCH_MAX}, "messages per request (1)"},
    {"depth", "N", DEPTH, {1, WINDOW_MAX}, "requests under way per connection (1; with --rate 64)"},
    {"connections", "N", LANES, {1, OPTIONS_LANES_MAX}, "sessions, all driven by one thread (1)"},
    {"rate", "R", RATE, {1e-3, 1e9}, "open loop: R requests a second, evenly; else closed: the next when one ends"},
    {"duration", "S", DURATION, {0.01, 86400}, "seconds that are measured (2)"},
    {"warm", "S", WARM, {0, 3600}, "seconds before that (0.2)"},
    {"messages", "N", MESSAGES, {1, 1e12}, "take: put before (1000000); put: stop after N; drain: to be found"},
    {"queue", "NAME", 'q', {0, 0}, "a queue that stays (else one of our own, dropped at the end)"},
    {"queues", "N", QUEUES, {1, OPTIONS_QUEUES_MAX}, "put: to the queues NAME-0 ... NAME-(N-1) in turn (1: NAME)"},
    {"keep", NULL, KEEP, {0, 0}, "do not drop our own queue"},
    {"raw", NULL, RAW, {0, 0}, "put, local port: frames made by hand, without the client library (spins)"},
    {"spin", NULL, SPIN, {0, 0}, "poll without sleeping"},
    {"cpu", "N", CPU, {0, CPU_SETSIZE - 1}, "stay on this core"},
    {"eal", "ARGS", EAL, {0, 0}, "arguments for DPDK (local port)"},
    {"json", NULL, JSON, {0, 0}, "one JSON object instead of a table"},
    {"help", NULL, HELP, {0, 0}, "this text"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void print_help(void)
{
    printf("usage: leat-bench [-s ADDRESS] [OPTION...]\n\nPuts load on a broker and measures how long it takes.\n\n");
    for (unsigned i = 0; i < ROWS; i++) {
        char left[40];
        if (rows[i].letter < 256)
            snprintf(left, sizeof left, "-%c, --%s %s", rows[i].letter, rows[i].name, rows[i].value);
        else
            snprintf(left, sizeof left, "--%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %-22s %s\n", left, rows[i].help);
    }
    printf("\nWorkloads:\n");
    for (unsigned i = 0; i < WORKLOADS; i++)
        printf("  %-9s %s\n", workload[i].name, workload[i].help);
    printf(
        "\nLatencies are nanoseconds from the moment a request should have started: with --rate by the schedule,\n"
        "whether or not earlier ones are late (no coordinated omission). Exit codes: 0; 1 when a request failed or a\n"
        "message is missing; 64 usage; 69 no broker.\n");
}

static int usage(const char *option, const char *text, const char *wrong)
{
    fprintf(stderr, "leat-bench: %s \"%s\" %s (leat-bench --help says what there is)\n", option, text, wrong);
    return OPTIONS_EXIT_USAGE;
}

const char *options_workload_name(enum workload w)
{
    return workload[w].name;
}

void options_defaults(struct options *o)
{
    const char *address = getenv("LEAT_ADDRESS");
    *o = (struct options){.workload = WORKLOAD_PUT,
                          .address_text = address && *address ? address : "tcp://127.0.0.1:7400",
                          .durability = CLASS_DISK,
                          .size = 128,
                          .batch = 1,
                          .lanes = 1,
                          .queues = 1,
                          .seconds = 2,
                          .warm_seconds = 0.2,
                          .cpu = -1};
}

static bool workload_read(struct options *o, const char *text)
{
    for (unsigned i = 0; i < WORKLOADS; i++)
        if (!strcmp(text, workload[i].name)) {
            o->workload = (enum workload)i;
            return true;
        }
    return false;
}

static bool class_read(struct options *o, const char *text)
{
    o->durability = !strcmp(text, "memory") ? CLASS_MEMORY : CLASS_DISK;
    return o->durability == CLASS_MEMORY || !strcmp(text, "disk");
}

static bool text_read(struct options *o, int letter, const char *text)
{
    switch (letter) {
    case 's':
        o->address_text = text;
        return true;
    case 'w':
        return workload_read(o, text);
    case 'q':
        return name_set(&o->queue, text, strlen(text));
    case CLASS:
        return class_read(o, text);
    default:
        o->eal = text;
        return true;
    }
}

static void number_take(struct options *o, int letter, double n)
{
    switch (letter) {
    case SIZE:
        o->size = (uint32_t)n;
        break;
    case BATCH:
        o->batch = (uint32_t)n;
        break;
    case DEPTH:
        o->depth = (uint32_t)n;
        break;
    case LANES:
        o->lanes = (uint32_t)n;
        break;
    case QUEUES:
        o->queues = (uint32_t)n;
        break;
    case RATE:
        o->rate = n;
        break;
    case DURATION:
        o->seconds = n;
        break;
    case WARM:
        o->warm_seconds = n;
        break;
    case MESSAGES:
        o->messages = (uint64_t)n;
        break;
    default:
        o->cpu = (int)n;
    }
}

static int row_read(struct options *o, const struct row *r, const char *text)
{
    char *end, wrong[80];
    if (!r->value) {
        o->keep = o->keep || r->letter == KEEP;
        o->raw = o->raw || r->letter == RAW;
        o->spin = o->spin || r->letter == SPIN || r->letter == RAW;
        o->json = o->json || r->letter == JSON;
        return OPTIONS_GO_ON;
    }
    if (r->bounds.most == 0)
        return text_read(o, r->letter, text) ? OPTIONS_GO_ON : usage(r->name, text, "is not one that is known");
    double n = strtod(text, &end);
    bool whole = r->letter == RATE || r->letter == DURATION || r->letter == WARM || n == (double)(int64_t)n;
    if (end == text || *end || !whole || !(n >= r->bounds.least && n <= r->bounds.most)) {
        snprintf(wrong, sizeof wrong, "is not a number from %.15g to %.15g", r->bounds.least, r->bounds.most);
        return usage(r->name, text, wrong);
    }
    number_take(o, r->letter, n);
    return OPTIONS_GO_ON;
}

static int complete(struct options *o)
{
    if (!target_parse(&o->target, o->address_text))
        return usage("address", o->address_text, "is not one of HOST:PORT, tcp://HOST:PORT and vhost://PATH");
    if ((uint64_t)o->batch * request_put_size(o->size, 0) > REQUEST_MAX - REQUEST_FIXED_MAX)
        return usage("size", "of a batch", "is above the limit of 4 MiB a request");
    if (o->depth == 0)
        o->depth = o->rate > 0 ? WINDOW_MAX : 1;
    if (o->messages == 0 && o->workload == WORKLOAD_TAKE)
        o->messages = 1000000;
    if (o->raw && (o->workload != WORKLOAD_PUT || o->lanes != 1 || o->target.kind != TARGET_LOCAL ||
                   o->size > RAW_FRAME_BODY_MAX))
        return usage("option", "raw", "goes with put, one connection, vhost:// and bodies of at most 4 KiB");
    if (o->workload == WORKLOAD_DELIVERY && o->lanes != 1)
        return usage("workload", "delivery", "has one producer and one consumer: no --connections");
    if (o->workload == WORKLOAD_DRAIN && o->queue.size == 0)
        return usage("workload", "drain", "needs --queue");
    if (o->queues > 1 && (o->workload != WORKLOAD_PUT || o->raw || o->queue.size == 0 || o->queue.size > 70))
        return usage("option", "queues", "goes with put and a --queue of at most 70 letters, and not with --raw");
    return OPTIONS_GO_ON;
}

int options_read(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS + 1] = {{NULL, 0, NULL, 0}};
    for (unsigned i = 0; i < ROWS; i++)
        longs[i] = (struct option){rows[i].name, rows[i].value ? 1 : 0, NULL, rows[i].letter};
    opterr = 0;
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, ":s:w:q:", longs, NULL)) != -1;) {
        int code = OPTIONS_GO_ON;
        if (letter == HELP) {
            print_help();
            return 0;
        }
        if (letter == '?' || letter == ':')
            return usage("option", argv[optind - 1], letter == '?' ? "is unknown" : "wants a value");
        for (unsigned i = 0; i < ROWS && code == OPTIONS_GO_ON; i++)
            if (rows[i].letter == letter)
                code = row_read(o, &rows[i], optarg);
        if (code != OPTIONS_GO_ON)
            return code;
    }
    if (optind < argc)
        return usage("word", argv[optind], "is one too many");
    return complete(o);
}
