/* sim.c - leat-sim: the command line.
 *
 *   leat-sim --seeds A..B [--jobs N] [--marks FILE] [--hash] [--first]
 *   leat-sim --seed N [--operations N] [--fault SET] [--trace]
 *   leat-sim --exhaust SEED [--operations N]
 *   leat-sim --story FILE...
 *
 * Exit codes: 0 nothing failed, 1 something did, 64 usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exhaust.h"
#include "runner.h"
#include "story.h"

static const char usage[] =
    "usage: leat-sim --seeds A..B | --seed N | --story FILE...\n"
    "  --seeds A..B       run these seeds; each failing one is named, the first is shrunk\n"
    "  --seed N           run one seed\n"
    "  --fault SET        these kinds of fault and no others: names with commas between, all, or none\n"
    "  --without LIST     these strikes do not happen: numbers and ranges with commas between\n"
    "  --operations N     so many operations of clients instead of the drawn number\n"
    "  --jobs N           child processes (2)\n"
    "  --exhaust SEED     crash one small run at each of its disk's events and replies, and each recovery as well\n"
    "  --sample N         every Nth seed runs twice and must be the same (100)\n"
    "  --marks FILE       marks that the whole set must hit\n"
    "  --show-marks       print how often each mark was passed\n"
    "  --first            stop at the first failure, without shrinking\n"
    "  --trace            print what happens\n"
    "  --wire             print every packet\n"
    "  --hash             print each seed's hash\n"
    "  --story FILE...    play stories (tests/trace) and compare\n"
    "  --faults           list the kinds of fault\n";

static int wrong_usage(const char *argument)
{
    fprintf(stderr, "leat-sim: %s\n%s", argument, usage);
    return 64;
}

static int list_faults(void)
{
#define FAULT(NAME, name, percent, help) printf("%-12s %3d %% of seeds: %s\n", #name, percent, help);
#include "fault_table.h"
#undef FAULT
    return 0;
}

static bool number(const char *text, uint64_t *n)
{
    char *end;
    *n = strtoull(text, &end, 10);
    return *text && *end == 0;
}

static bool range(const char *text, uint64_t *first, uint64_t *last)
{
    char *end;
    *first = strtoull(text, &end, 10);
    return end != text && strncmp(end, "..", 2) == 0 && number(end + 2, last) && *first <= *last;
}

static int play(int n, char **paths)
{
    int failed = 0;
    for (int i = 0; i < n; i++)
        failed += !story_play(paths[i]);
    printf("%d passed, %d failed\n", n - failed, failed);
    return failed != 0 || n == 0;
}

/* One option with a value. */
static bool option(struct runner_options *o, const char *name, const char *value)
{
    uint64_t n = 0;
    if (strcmp(name, "--seeds") == 0)
        return range(value, &o->first, &o->last);
    if (strcmp(name, "--fault") == 0) {
        o->world.allowed = 0;
        return draw_faults(value, &o->world.forced);
    }
    if (strcmp(name, "--without") == 0)
        return strike_set_text(&o->world.strikes, value);
    if (strcmp(name, "--marks") == 0) {
        o->marks = value;
        return true;
    }
    if (!number(value, &n))
        return false;
    if (strcmp(name, "--seed") == 0)
        o->first = o->last = n;
    else if (strcmp(name, "--exhaust") == 0)
        o->first = o->last = n, o->exhaust = true;
    else if (strcmp(name, "--operations") == 0)
        o->world.operations = (uint32_t)n;
    else if (strcmp(name, "--jobs") == 0)
        o->jobs = (unsigned)n;
    else if (strcmp(name, "--sample") == 0)
        o->sample = (uint32_t)n;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct runner_options o = {.first = 1, .last = 0, .jobs = 2, .sample = 100, .program = argv[0]};
    o.world.allowed = UINT32_MAX;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--faults") == 0)
            return list_faults();
        if (strcmp(argv[i], "--help") == 0)
            return printf("%s", usage) < 0;
        if (strcmp(argv[i], "--story") == 0)
            return play(argc - i - 1, argv + i + 1);
        if (strcmp(argv[i], "--trace") == 0)
            o.world.trace = true;
        else if (strcmp(argv[i], "--wire") == 0)
            o.world.wire = true;
        else if (strcmp(argv[i], "--hash") == 0)
            o.print_hash = true;
        else if (strcmp(argv[i], "--show-marks") == 0)
            o.show_marks = true;
        else if (strcmp(argv[i], "--first") == 0)
            o.first_only = true;
        else if (i + 1 == argc || !option(&o, argv[i], argv[i + 1]))
            return wrong_usage(argv[i]);
        else
            i++;
    }
    if (o.first > o.last)
        return wrong_usage("which seeds?");
    if (o.exhaust)
        return !exhaust_run(&o);
    struct runner_sum sum;
    bool good = runner_run(&o, &sum);
    printf("%llu passed, %llu failed\n", (unsigned long long)sum.passed, (unsigned long long)sum.failed);
    return !good;
}
