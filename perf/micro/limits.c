/* limits.c - measures what this machine allows, so that Leat can be compared with it rather than with a guess.
 *
 *     limits                     all limits, five rounds of half a second
 *     limits M W --seconds 1     two of them
 *     limits --json              one JSON object a line, for programs
 *
 * A limit is one row of the table below: what it is, its unit, the two ends that measure it (see limits_pair.h). A run
 * goes through the chosen rows forwards, then backwards, then forwards (A-B-B-A), so that a machine that grows slower
 * is not taken for a difference between rows; what is printed is the median of the rounds, with the smallest and the
 * largest.
 *
 * The parent only starts processes and adds up; see limits_pair.c. A limit that cannot be measured here says why, the
 * others are measured all the same, and the exit code is 1. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "limits_pair.h"

enum { ROUNDS_MAX = 99, LIMITS = 11, EXIT_USAGE = 64, START_MS = 30000 };

struct row {
    char letter;
    const char *what, *unit;
    const char *value[LIMITS_VALUES]; /* their names, as many as there are */
    limits_end *end[2];
};

static const struct row row[LIMITS] = {
    {'M',
     "vhost-user echo, 128 B, round trip",
     "ns",
     {"p50", "p99", "p99.9"},
     {limits_vhost_echo, limits_vhost_answer}},
    {'P', "vhost-user echo, 128 B, 64 under way", "Mpackets/s", {"rate"}, {limits_vhost_rate, limits_vhost_answer}},
    {'S',
     "shared memory, one line there and back",
     "ns",
     {"p50", "p99", "p99.9"},
     {limits_cpu_cross, limits_cpu_cross_answer}},
    {'W', "4 KiB O_DIRECT write + fdatasync", "ns", {"p50", "p99", "p99.9", "mean"}, {limits_disk_write}},
    {'F', "fdatasync alone", "ns", {"p50", "p99", "p99.9", "mean"}, {limits_disk_flush}},
    {'B', "1 MiB O_DIRECT writes, sequential", "MB/s", {"rate"}, {limits_disk_stream}},
    {'C', "memcpy of 64 MiB", "GB/s", {"rate"}, {limits_cpu_copy}},
    {'D', "random load from 256 MiB", "ns", {"mean"}, {limits_cpu_load}},
    {'J', "gaps of a spinning core", "ns", {"p99.99", "max"}, {limits_cpu_gap}},
    {'T',
     "TCP loopback, 1 byte, both ends spin",
     "ns",
     {"p50", "p99", "p99.9"},
     {limits_tcp_spin, limits_tcp_spin_answer}},
    {'T',
     "TCP loopback, 1 byte, both ends sleep",
     "ns",
     {"sleeping p50", "sleeping p99", "sleeping p99.9"},
     {limits_tcp_block, limits_tcp_block_answer}},
};

struct run {
    struct limits_setup setup;
    unsigned rounds;
    bool json, chosen[LIMITS];
    double sample[LIMITS][LIMITS_VALUES][ROUNDS_MAX];
    unsigned samples[LIMITS];
    char why[LIMITS][LIMITS_WHY]; /* of a row that failed; empty if it did not */
    char dir[LIMITS_PATH - 32];
};

static void print_help(void)
{
    printf("usage: limits [LIMIT...] [OPTION...]\n\n"
           "Measures what this machine allows. LIMIT is one or more of these letters (all, if none is given):\n");
    for (unsigned i = 0; i < LIMITS; i++)
        printf("  %c  %s (%s)\n", row[i].letter, row[i].what, row[i].unit);
    printf("\n  --seconds S      per limit and round (default 0.5)\n"
           "  --rounds N       the median of N rounds is printed (default 5)\n"
           "  --cpus A,B       the cores of the two ends (default: the first two that we may use)\n"
           "  --dir PATH       the disk to measure (default: the current folder)\n"
           "  --other STATE    of core B while one core is measured: idle or spin (default idle)\n"
           "  --huge           DPDK's memory in huge pages (default: ordinary ones)\n"
           "  --driver         M, P: the vhost end is the net_vhost driver, as dpdk-testpmd's is, not librte_vhost "
           "itself\n"
           "  --json           one JSON object a line instead of a table\n");
}

static int usage(const char *word, const char *wrong)
{
    fprintf(stderr, "limits: \"%s\" %s (limits --help says what there is)\n", word, wrong);
    return EXIT_USAGE;
}

/* The first two cores that we may use; twice the same if there is only one. */
static void cores_choose(unsigned cpu[2])
{
    cpu_set_t mine;
    unsigned found = 0;
    if (sched_getaffinity(0, sizeof mine, &mine))
        return;
    for (unsigned i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &mine))
            cpu[found++] = i;
    if (found == 1)
        cpu[1] = cpu[0];
}

static bool choose(struct run *r, const char *letters)
{
    for (; *letters; letters++) {
        bool known = false;
        for (unsigned i = 0; i < LIMITS; i++)
            if (row[i].letter == *letters)
                known = r->chosen[i] = true;
        if (!known)
            return false;
    }
    return true;
}

static bool number_read(const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && *out >= least && *out <= most;
}

static bool option_read(struct run *r, int option, const char *text)
{
    struct limits_setup *s = &r->setup;
    double n = 0;
    int used = 0;
    switch (option) {
    case 's':
        return number_read(text, 0.01, 60, &s->seconds);
    case 'r':
        if (!number_read(text, 1, ROUNDS_MAX, &n))
            return false;
        r->rounds = (unsigned)n;
        return true;
    case 'c':
        return sscanf(text, "%4u,%4u%n", &s->cpu[0], &s->cpu[1], &used) == 2 && text[used] == 0 &&
               s->cpu[0] < CPU_SETSIZE && s->cpu[1] < CPU_SETSIZE;
    case 'd':
        return (size_t)snprintf(r->dir, sizeof r->dir, "%s", text) < sizeof r->dir;
    case 'o':
        s->busy = !strcmp(text, "spin");
        return s->busy || !strcmp(text, "idle");
    case 'h':
        s->huge = true;
        return true;
    case 'v':
        s->driver = true;
        return true;
    default:
        r->json = true;
        return true;
    }
}

/* Fills in the run from the command line; answers an exit code, or -1 to go on. */
static int arguments_read(struct run *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", 1, NULL, 's'}, {"rounds", 1, NULL, 'r'}, {"cpus", 1, NULL, 'c'},   {"dir", 1, NULL, 'd'},
        {"other", 1, NULL, 'o'},   {"huge", 0, NULL, 'h'},   {"driver", 0, NULL, 'v'}, {"json", 0, NULL, 'j'},
        {"help", 0, NULL, 'H'},    {NULL, 0, NULL, 0},
    };
    bool any = false;
    opterr = 0;
    for (int o; (o = getopt_long(argc, argv, "-:", options, NULL)) != -1;) {
        if (o == ':' || o == '?')
            return usage(argv[optind - 1], "is unknown or wants a value");
        if (o == 'H') {
            print_help();
            return 0;
        }
        if (o == 1) {
            if (!choose(r, optarg))
                return usage(optarg, "names no limit");
            any = true;
        } else if (!option_read(r, o, optarg)) {
            return usage(optarg, "is not a proper value");
        }
    }
    for (unsigned i = 0; i < LIMITS && !any; i++)
        r->chosen[i] = true;
    return -1;
}

static void round_run(struct run *r, unsigned i, struct limits_board *b)
{
    const struct limits_setup *s = &r->setup;
    limits_end *end[2] = {row[i].end[0], row[i].end[1]};
    char file[LIMITS_PATH + 16];
    if (!end[1] && s->busy)
        end[1] = limits_cpu_spin;
    if (r->why[i][0])
        return;
    if (end[1] && s->cpu[0] == s->cpu[1]) {
        limits_pair_fail(r->why[i], "needs two cores");
        return;
    }
    if (limits_pair_run(s, b, end, START_MS + (int)(s->seconds * 3000), r->why[i])) {
        for (unsigned v = 0; v < LIMITS_VALUES; v++)
            r->sample[i][v][r->samples[i]] = b->value[v];
        r->samples[i]++;
    }
    snprintf(file, sizeof file, "%s/disk", s->scratch);
    unlink(file);
    snprintf(file, sizeof file, "%s/vhost", s->scratch);
    unlink(file);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_machine(const struct run *r)
{
    struct utsname u = {.release = "unknown"};
    char model[96] = "unknown", line[256], when[32];
    time_t now = time(NULL);
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %95[^\n\"\\]", model) == 1)
            break;
    if (f)
        fclose(f);
    uname(&u);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    printf(r->json
               ? "{\"machine\":{\"processor\":\"%s\",\"cores\":%ld,\"kernel\":\"%s\",\"date\":\"%s\",\"cpus\":[%u,%u],"
                 "\"other\":\"%s\",\"huge\":%s,\"seconds\":%g,\"rounds\":%u}}\n"
               : "%s, %ld cores, Linux %s, %s\ncores %u and %u, the other core %s, huge pages %s, "
                 "%g s a round, %u rounds\n\n",
           model, sysconf(_SC_NPROCESSORS_ONLN), u.release, when, r->setup.cpu[0], r->setup.cpu[1],
           r->setup.busy ? "spin" : "idle", r->setup.huge ? "true" : "false", r->setup.seconds, r->rounds);
}

static void print_json(const struct run *r, unsigned i, const double *sorted, unsigned v, unsigned n)
{
    printf("{\"limit\":\"%c\",\"value\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"samples\":[",
           row[i].letter, row[i].value[v], row[i].what, row[i].unit, sorted[n / 2]);
    for (unsigned k = 0; k < n; k++)
        printf("%s%.6g", k ? "," : "", r->sample[i][v][k]);
    printf("]}\n");
}

static void print_plain(unsigned i, const double *sorted, unsigned v, unsigned n)
{
    int digits = sorted[n / 2] < 100 ? 2 : 0;
    printf("%c  %-38s %-14s %12.*f %12.*f %12.*f  %s\n", row[i].letter, row[i].what, row[i].value[v], digits,
           sorted[n / 2], digits, sorted[0], digits, sorted[n - 1], row[i].unit);
}

static void print_row(const struct run *r, unsigned i)
{
    unsigned n = r->samples[i];
    if (r->why[i][0]) {
        printf(r->json ? "{\"limit\":\"%c\",\"what\":\"%s\",\"error\":\"%s\"}\n" : "%c  %-38s not measured: %s\n",
               row[i].letter, row[i].what, r->why[i]);
        return;
    }
    for (unsigned v = 0; v < LIMITS_VALUES && row[i].value[v] && n > 0; v++) {
        double sorted[ROUNDS_MAX];
        memcpy(sorted, r->sample[i][v], n * sizeof sorted[0]);
        qsort(sorted, n, sizeof sorted[0], by_size);
        if (r->json)
            print_json(r, i, sorted, v, n);
        else
            print_plain(i, sorted, v, n);
    }
}

/* False when a limit that was asked for could not be measured. */
static bool print_all(const struct run *r)
{
    bool good = true;
    print_machine(r);
    if (!r->json)
        printf("   %-38s %-14s %12s %12s %12s\n", "what", "", "median", "least", "most");
    for (unsigned i = 0; i < LIMITS; i++) {
        if (!r->chosen[i])
            continue;
        good = good && !r->why[i][0];
        print_row(r, i);
    }
    return good;
}

int main(int argc, char **argv)
{
    static struct run r = {.setup = {.seconds = 0.5}, .rounds = 5, .dir = "."};
    cores_choose(r.setup.cpu);
    int code = arguments_read(&r, argc, argv);
    if (code >= 0)
        return code;
    struct limits_board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED) {
        fprintf(stderr, "limits: no memory\n");
        return 1;
    }
    snprintf(r.setup.scratch, sizeof r.setup.scratch, "%s/limits-XXXXXX", r.dir);
    if (!mkdtemp(r.setup.scratch)) {
        fprintf(stderr, "limits: cannot make a folder in %s: %s\n", r.dir, strerror(errno));
        return 1;
    }
    for (unsigned k = 0; k < r.rounds; k++)
        for (unsigned i = 0; i < LIMITS; i++) {
            unsigned which = k % 2 == 0 ? i : LIMITS - 1 - i;
            if (r.chosen[which])
                round_run(&r, which, b);
        }
    rmdir(r.setup.scratch);
    return print_all(&r) ? 0 : 1;
}
