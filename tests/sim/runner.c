/* runner.c - see runner.h. */
#include "runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"
#include "must.h"
#include "shrink.h"

/* There when built with --coverage: children leave by _exit(). */
extern void __gcov_dump(void) __attribute__((weak));

enum { RUNNER_JOBS_MAX = 64, RUNNER_BLOCK = 64, RUNNER_MARKS_MAX = 1024 };

/* jemalloc: a child keeps what it has freed; the next seed takes it. */
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1";

/* What children leave behind, one each. */
struct slot {
    uint64_t next, end; /* seeds of its block that are not done */
    uint64_t seed;      /* at work */
    bool busy, failed;
    char text[HISTORY_TEXT];
    uint64_t passed, strikes;
    struct world_stats stats;
    uint64_t marks[RUNNER_MARKS_MAX];
};

static struct slot *share(size_t n)
{
    struct slot *s = mmap(NULL, n * sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(s != MAP_FAILED);
    return s;
}

static void add_stats(struct world_stats *to, const struct world_stats *more)
{
    to->events += more->events;
    to->operations += more->operations;
    to->overlaps += more->overlaps;
    to->unknown += more->unknown;
    to->crashes += more->crashes;
    to->torn_crashes += more->torn_crashes;
    to->restarts += more->restarts;
    to->deliveries += more->deliveries;
}

static void run_seed(struct world *w, const struct runner_options *o, struct slot *slot, uint64_t seed)
{
    struct world_options options = o->world;
    options.seed = seed;
    options.struck = &slot->strikes;
    bool good = world_run(w, &options);
    add_stats(&slot->stats, &w->stats);
    uint64_t hash = w->hash;
    if (good && o->print_hash)
        printf("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)hash);
    if (good && o->sample && seed % o->sample == 0) {
        options.trace = options.wire = false;
        void *elsewhere = malloc(8u << 20); /* so that nothing stands at the address that it had */
        good = world_run(w, &options);
        free(elsewhere);
        if (good && w->hash != hash)
            history_fail(&w->history, "two runs of this seed differ: %016llx and %016llx", (unsigned long long)hash,
                         (unsigned long long)w->hash);
        good = !w->history.failed;
    }
    if (good) {
        slot->passed++;
        return;
    }
    memcpy(slot->text, w->history.text, sizeof slot->text);
    slot->failed = true;
}

/* A child: until its block is done or a seed failed. */
static void work(const struct runner_options *o, struct slot *slot)
{
    struct world *w = malloc(sizeof *w);
    must(w != NULL);
    world_open(w);
    mark_reset();
    while (slot->next < slot->end && !slot->failed) {
        slot->seed = slot->next++;
        run_seed(w, o, slot, slot->seed);
    }
    unsigned i = 0;
    for (struct mark *m = mark_next(NULL); m && i < RUNNER_MARKS_MAX; m = mark_next(m))
        slot->marks[i++] += m->count;
    world_close(w);
    free(w);
    fflush(stdout);
    if (__gcov_dump)
        __gcov_dump();
    _exit(0);
}

struct run {
    const struct runner_options *o;
    struct slot *slots;
    pid_t child[RUNNER_JOBS_MAX];
    uint64_t next;
    struct runner_sum sum;
};

/* Gives the slot work: what is left of its block after a failure, else a new block. False: there is none. */
static bool launch(struct run *r, unsigned i)
{
    struct slot *s = &r->slots[i];
    if (s->next >= s->end) {
        if (r->next > r->o->last || (r->o->first_only && r->sum.failed > 0))
            return false;
        s->next = r->next;
        s->end = r->o->last - r->next < RUNNER_BLOCK ? r->o->last + 1 : r->next + RUNNER_BLOCK;
        r->next = s->end;
    }
    s->failed = false;
    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0)
        work(r->o, s);
    r->child[i] = pid;
    s->busy = true;
    return true;
}

/* A child that did not come to its end: a signal, a broken must(), a sanitizer. */
static void died(struct slot *s, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    s->failed = true;
    if (WIFSIGNALED(status))
        snprintf(s->text, sizeof s->text, "it ended by %s", strsignal(WTERMSIG(status)));
    else
        snprintf(s->text, sizeof s->text, "it ended with exit code %d", WEXITSTATUS(status));
}

static void ended(struct run *r, unsigned i, int status)
{
    struct slot *s = &r->slots[i];
    s->busy = false;
    if (!s->failed)
        died(s, status);
    if (!s->failed)
        return;
    if (r->sum.failed++ == 0 || s->seed < r->sum.first_failed)
        r->sum.first_failed = s->seed;
    printf("seed %llu failed: %s\n", (unsigned long long)s->seed, s->text);
    if (r->o->first_only)
        s->next = s->end;
}

static void wait_for_one(struct run *r, unsigned jobs)
{
    int status;
    pid_t pid = wait(&status);
    must(pid > 0);
    for (unsigned i = 0; i < jobs; i++)
        if (r->child[i] == pid && r->slots[i].busy)
            ended(r, i, status);
}

/* How often all children passed the places called `name`. */
static uint64_t hits(const struct run *r, unsigned jobs, const char *name)
{
    uint64_t count = 0;
    unsigned i = 0;
    for (struct mark *m = mark_next(NULL); m && i < RUNNER_MARKS_MAX; m = mark_next(m), i++)
        for (unsigned k = 0; k < jobs && strcmp(m->name, name) == 0; k++)
            count += r->slots[k].marks[i];
    return count;
}

static void show_marks(const struct run *r, unsigned jobs)
{
    for (struct mark *m = mark_next(NULL); m; m = mark_next(m))
        printf("%12llu  %s\n", (unsigned long long)hits(r, jobs, m->name), m->name);
}

/* The marks of the file that no seed hit, and those that do not exist. */
static unsigned missed_marks(const struct run *r, unsigned jobs)
{
    FILE *f = fopen(r->o->marks, "r");
    if (!f) {
        printf("%s: cannot be read\n", r->o->marks);
        return 1;
    }
    char line[200];
    unsigned missed = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, " #\n")] = 0;
        if (line[0] && hits(r, jobs, line) == 0) {
            printf("no seed hit the mark %s\n", line);
            missed++;
        }
    }
    fclose(f);
    return missed;
}

static unsigned blind(const struct world_stats *s)
{
    unsigned n = 0;
    n += s->overlaps == 0 && printf("blind: no two operations overlapped\n");
    n += s->unknown == 0 && printf("blind: no operation had an unknown outcome\n");
    n += s->torn_crashes == 0 && printf("blind: no crash met writes in flight\n");
    return n;
}

/* Processor time of all children so far. */
static double used(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(const struct run *r, const struct world_stats *s, double seconds)
{
    uint64_t seeds = r->sum.passed + r->sum.failed;
    printf("%.0f seeds/s, %.0f in a second of processor time; a seed: %.0f operations, %.0f deliveries, %.1f crashes "
           "(%.1f with writes in flight), %.1f "
           "unknown outcomes, %.0f events\n",
           (double)seeds / seconds, (double)seeds / (used() + 1e-9), (double)s->operations / (double)seeds,
           (double)s->deliveries / (double)seeds, (double)s->crashes / (double)seeds,
           (double)s->torn_crashes / (double)seeds, (double)s->unknown / (double)seeds,
           (double)s->events / (double)seeds);
}

bool runner_run(const struct runner_options *o, struct runner_sum *sum)
{
    unsigned jobs = o->jobs < 1 ? 1 : o->jobs > RUNNER_JOBS_MAX ? RUNNER_JOBS_MAX : o->jobs;
    struct run r = {.o = o, .slots = share(jobs), .next = o->first};
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    unsigned busy = 0;
    for (;;) {
        busy = 0;
        for (unsigned i = 0; i < jobs; i++)
            busy += r.slots[i].busy || launch(&r, i);
        if (busy == 0)
            break;
        wait_for_one(&r, jobs);
    }
    clock_gettime(CLOCK_MONOTONIC, &t1);
    struct world_stats stats = {0};
    for (unsigned i = 0; i < jobs; i++) {
        r.sum.passed += r.slots[i].passed;
        add_stats(&stats, &r.slots[i].stats);
    }
    report(&r, &stats, (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9);
    unsigned wrong = (unsigned)r.sum.failed;
    if (o->marks && wrong == 0)
        wrong += missed_marks(&r, jobs) + blind(&stats);
    if (o->show_marks)
        show_marks(&r, jobs);
    if (r.sum.failed > 0 && !o->first_only)
        shrink_print(&o->world, r.sum.first_failed, o->program);
    munmap(r.slots, jobs * sizeof *r.slots);
    *sum = r.sum;
    return wrong == 0;
}

bool runner_fails(const struct world_options *o, char text[HISTORY_TEXT], uint32_t *strikes)
{
    struct slot *s = share(1);
    struct runner_options one = {.world = *o};
    *s = (struct slot){.next = o->seed, .end = o->seed + 1};
    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        work(&one, s);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid);
    died(s, status);
    bool failed = s->failed;
    *strikes = (uint32_t)s->strikes;
    memcpy(text, s->text, HISTORY_TEXT);
    munmap(s, sizeof *s);
    return failed;
}
